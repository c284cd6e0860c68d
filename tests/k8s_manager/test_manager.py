"""The pygeoapi manager, driven as pygeoapi drives it, with a real store and a real controller."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pygeoapi.process.base import (
    JobNotFoundError,
    JobResultNotFoundError,
    ProcessorExecuteError,
    UnknownProcessError,
)
from pygeoapi.process.manager.base import get_manager
from pygeoapi.util import JobStatus, RequestedProcessExecutionMode, Subscriber

from k8s_manager.backends.local import LocalBackend
from k8s_manager.controller import Controller
from k8s_manager.manager import KubernetesManager
from k8s_manager.settings import Settings
from k8s_manager.store import open_store

GREET = Path(__file__).parent.parent / "data" / "processes" / "greet" / "process.cwl"
ASYNC = RequestedProcessExecutionMode.respond_async


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name in ("CDI_DATABASE_URL", "CDI_WORKSPACE", "CDI_HOME", "CDI_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    processor = {"name": "k8s_manager.processor.CwlProcessor", "cwl": str(GREET)}
    manager = {
        "name": "k8s_manager.manager.KubernetesManager",
        "connection": f"sqlite:///{tmp_path / 'cdi.db'}",
        "output_dir": str(tmp_path / "workspace"),
        "home": str(tmp_path),
        "poll_s": 0.05,
    }
    return {
        "server": {"manager": manager},
        "resources": {"greet": {"type": "process", "processor": processor}},
    }


@pytest.fixture
def manager(config: dict[str, Any]) -> Iterator[KubernetesManager]:
    found = get_manager(config)
    assert isinstance(found, KubernetesManager)
    yield found
    found.close()


@pytest.fixture
def controller(config: dict[str, Any], tmp_path: Path) -> Iterator[None]:
    settings = Settings.from_manager(config["server"]["manager"], tmp_path / "c.yml")
    store = open_store(settings.database_url, settings.workspace)
    backend, stop = LocalBackend(settings), threading.Event()
    worker = threading.Thread(target=Controller(settings, store, backend).run, args=(stop,))
    worker.start()
    yield
    stop.set()
    backend.wake()
    worker.join()
    backend.close()
    store.close()


def test_making_a_manager_touches_nothing(manager: KubernetesManager, tmp_path: Path) -> None:
    assert manager.is_async
    assert list(tmp_path.iterdir()) == []


def test_a_process_is_described_by_its_file(manager: KubernetesManager) -> None:
    metadata = manager.get_processor("greet").metadata

    assert metadata["title"] == {"en": "Greet somebody", "de": "Jemanden grüßen"}
    assert set(metadata["description"]) == {"en", "de"}
    assert metadata["inputs"]["name"]["schema"]["maxLength"] == 80
    assert metadata["example"] == {"inputs": {"name": "World"}}
    with pytest.raises(UnknownProcessError):
        manager.get_processor("gret")


def test_a_resource_of_another_name_is_no_process(config: dict[str, Any]) -> None:
    config["resources"]["welcome"] = config["resources"].pop("greet")

    with pytest.raises(UnknownProcessError, match="describes greet"):
        get_manager(config).get_processor("welcome")


@pytest.mark.usefixtures("controller")
def test_a_job_runs_while_the_client_waits(manager: KubernetesManager) -> None:
    job_id, media_type, value, status, headers = manager.execute_process(
        "greet", {"name": "Ada"}, RequestedProcessExecutionMode.wait, None, None, "raw"
    )
    assert (media_type, value) == ("text/plain", b"Hello, Ada!\n")
    assert (status, headers) == (JobStatus.successful, {"Preference-Applied": "wait"})
    assert manager.get_job(job_id)["progress"] == 100
    assert manager.get_job_result(job_id) == ("text/plain", b"Hello, Ada!\n")

    assert manager.delete_job(job_id)
    assert manager.get_job(job_id)["status"] == "dismissed"
    with pytest.raises(JobResultNotFoundError):
        manager.get_job_result(job_id)


@pytest.mark.usefixtures("controller")
def test_results_as_a_document_hold_small_files(manager: KubernetesManager) -> None:
    answer = manager.execute_process("greet", {"name": "Ada"}, requested_response="document")

    assert answer[1] == "application/json"
    assert answer[2] == {"greeting": {"value": "Hello, Ada!\n", "mediaType": "text/plain"}}


def test_a_job_is_recorded_at_once_and_may_be_dismissed(manager: KubernetesManager) -> None:
    job_id, _, value, status, headers = manager.execute_process("greet", {"name": "Ada"}, ASYNC)

    assert (value, status) == (None, JobStatus.accepted)
    assert headers == {"Preference-Applied": "respond-async"}
    job = manager.get_job(job_id)
    assert (job["status"], job["process_id"], job["finished"]) == ("accepted", "greet", None)
    assert job["started"] == job["created"], "pygeoapi sorts by it"
    with pytest.raises(JobResultNotFoundError):
        manager.get_job_result(job_id)
    assert manager.delete_job(job_id)


def test_jobs_are_listed_newest_first_and_in_pages(manager: KubernetesManager) -> None:
    ids = [manager.execute_process("greet", {"name": str(n)}, ASYNC)[0] for n in range(3)]

    assert [job["identifier"] for job in manager.get_jobs()["jobs"]] == ids[::-1]
    page = manager.get_jobs(limit=1, offset=1)
    assert [job["identifier"] for job in page["jobs"]] == [ids[1]]
    assert page["numberMatched"] == 3
    assert manager.get_jobs(status=JobStatus.failed)["jobs"] == []


def test_another_manager_sees_the_same_jobs(
    manager: KubernetesManager, config: dict[str, Any]
) -> None:
    job_id = manager.execute_process("greet", {"name": "Ada"}, ASYNC)[0]

    other = get_manager(config)
    assert other.get_job(job_id)["identifier"] == job_id
    other.close()


def test_bad_inputs_are_the_clients_fault(manager: KubernetesManager) -> None:
    with pytest.raises(ProcessorExecuteError) as raised:
        manager.execute_process("greet", {"nam": "Ada"}, ASYNC)

    assert raised.value.http_status_code == 400
    assert "/inputs/nam: expected one of the inputs name" in raised.value.message
    assert "/inputs/name: expected a value, got nothing" in raised.value.message
    assert manager.get_jobs()["numberMatched"] == 0


def test_a_subscriber_that_would_never_be_called_is_refused(manager: KubernetesManager) -> None:
    subscriber = Subscriber("https://x.org/ok", None, "https://x.org/bad")
    with pytest.raises(ProcessorExecuteError) as raised:
        manager.execute_process("greet", {"name": "Ada"}, ASYNC, subscriber=subscriber)

    assert raised.value.http_status_code == 400
    assert "/subscriber: expected no subscriber" in raised.value.message
    assert manager.get_jobs()["numberMatched"] == 0


def test_an_unknown_job_is_not_found(manager: KubernetesManager) -> None:
    for ask in (manager.get_job, manager.get_job_result, manager.delete_job):
        with pytest.raises(JobNotFoundError):
            ask("0" * 32)
