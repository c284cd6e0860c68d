"""Printing the logs of a job on the command line, and going on while it runs."""

from __future__ import annotations

import sys
import time

from k8s_manager.errors import CdiError
from k8s_manager.job_logs import FILES, JobLogs, Part, Selection, refuse_expired
from k8s_manager.log_reader import LogReader, heading
from k8s_manager.store import Store
from k8s_manager.workspace import Workspace

PAUSE_S = 0.3
"""Seconds between looks at the files of a job that is followed."""
CHUNK = 65_536


def print_logs(
    store: Store, workspace: Workspace, job_id: str, wanted: Selection, follow: bool
) -> None:
    """Write the logs of a job to the standard output; when followed, until the job has ended.

    Raises:
        NoSuchJob, NoSuchLog: There is no such job, or no such part of it.
        JobGone: Its logs were removed.
        CdiError: The stream is none.
    """
    if wanted.stream not in (None, *FILES):
        raise CdiError(f"stream {wanted.stream!r}: expected one of {', '.join(FILES)}")
    printed: dict[tuple[str, ...], int] = {}
    last: Part | None = None
    while True:
        job = store.job(job_id, whole=False)  # before the files: what it wrote last is not missed
        refuse_expired(job)
        logs = JobLogs.of(store, workspace, job, wanted)
        for part in logs.parts(wanted):
            begin = printed.get(part.names, 0)
            if begin < part.size:
                if last is None or last.names != part.names:
                    _write(heading(part, first=last is None))
                _copy(LogReader(logs.root, [part], titled=False), begin)
                printed[part.names], last = part.size, part
        sys.stdout.flush()
        if not follow or job.finished_at_all:
            return
        time.sleep(PAUSE_S)


def _copy(reader: LogReader, begin: int) -> None:
    with reader:
        reader.seek(begin)
        while data := reader.read(CHUNK):
            _write(data)


def _write(data: bytes) -> None:
    """Write bytes as they are; to a terminal without what could steer it."""
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(data)
        return
    text = data.decode("utf-8", "replace")
    sys.stdout.write("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text))
