"""From an execute request to a job record: one way for HTTP, command line and manager."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8s_manager.cwl import Process
from k8s_manager.inputs import accept as accept_inputs
from k8s_manager.records import NewJob
from k8s_manager.releases import check_dataset
from k8s_manager.settings import Settings


def accept(
    settings: Settings,
    process: Process,
    body: Mapping[str, Any],
    *,
    owner: str,
    trusted: bool = False,
) -> NewJob:
    """Validate an execute request.

    Args:
        settings: Limits, allowed hosts, datasets.
        process: The process to execute.
        body: The execute request as it was sent.
        owner: Written to the record.
        trusted: Whether files of this machine may be named (the command line may).

    Raises:
        InvalidInputs: The request breaks the description; holds every violation.
    """
    accepted = accept_inputs(process, body, settings, trusted=trusted)
    check_dataset(settings, process, accepted.values)
    return NewJob(
        process_id=process.id,
        process_version=process.version,
        process=process.to_json(),
        request={
            "values": accepted.values,
            "outputs": accepted.outputs,
            "response": accepted.response,
            "subscriber": accepted.subscriber,
        },
        owner=owner,
        most_open=0 if trusted else settings.open_jobs_per_owner,
    )
