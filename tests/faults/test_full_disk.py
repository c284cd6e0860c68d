"""A disk that is really full: jobs wait or fail with the reason, and nothing else is lost."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8s_manager.records import Job
from tests.faults.evidence import NOTHING_LOST, assert_nothing_lost, watch
from tests.k8s_manager.installation import Installation
from tests.lacking import lacking

WRITE = "open('result.txt', 'w').write('done')"
FILL = "open('result.txt', 'wb').write(bytes(10_000_000))"


@pytest.fixture
def small_disk(tmp_path: Path, empty_store: Path) -> Iterator[Installation]:
    home = tmp_path / "home"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(home)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        lacking("mounting a small file system needs rights that this user lacks")
    made = Installation.at(home, empty_store)
    watch(made)
    yield made
    made.store.close()
    subprocess.run(["umount", str(home)], check=True)


@pytest.mark.fault(
    "disk of the workspace full: a program fills it",
    "failed once with the reason, space given back, the next job runs",
)
def test_a_program_that_fills_the_disk_fails_and_gives_the_space_back(
    small_disk: Installation,
) -> None:
    job = small_disk.run("python", {"code": FILL})
    assert job.outcome == "failed"
    assert_nothing_lost(small_disk, {job.id: 0}, outcome="failed")
    assert job.error is not None
    assert "No space left on device" in job.error["detail"]
    assert small_disk.run("python", {"code": WRITE}).outcome == "successful"


@pytest.mark.fault(
    "disk of the workspace full: no room to start a step",
    f"waits, says why, goes on by itself; {NOTHING_LOST}",
)
def test_jobs_wait_until_there_is_space_again(small_disk: Installation) -> None:
    job = small_disk.submit("python", {"code": WRITE})
    filler = small_disk.settings.home / "filler"
    with filler.open("wb") as stream:
        stream.write(bytes(3_100_000))
    messages: list[str] = []

    def make_room(now: Job) -> None:
        messages.append(now.message)
        if now.message.startswith("waiting: workspace"):
            filler.unlink(missing_ok=True)

    controller = small_disk.controller()
    ended = controller.run_until(job.id, make_room)
    controller.dispose()
    assert any("No space left on device" in message for message in messages)
    assert_nothing_lost(small_disk, {ended.id: 1})


@pytest.mark.fault("disk full under the job store", f"goes on by itself; {NOTHING_LOST}")
def test_a_full_disk_under_the_store_stops_nothing_for_good(small_disk: Installation) -> None:
    job = small_disk.submit("python", {"code": WRITE})
    filler = small_disk.settings.home / "filler"
    with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(4096))
    controller = small_disk.controller()
    controller.step()
    filler.unlink()
    controller.run_until(job.id)
    controller.dispose()
    assert_nothing_lost(small_disk, {job.id: 1})
