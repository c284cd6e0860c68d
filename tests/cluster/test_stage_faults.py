"""Programs that take too much, say too much or leave nonsense; images that are not there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from k8s_manager import schema
from k8s_manager.records import Job
from tests.cluster.conftest import Cluster, wait_until
from tests.cluster.evidence import assert_nothing_lost, open_rounds
from tests.k8s_manager.installation import Installation

LEAP = "x = bytearray({} * 2**20)"
FILL = """
with open("/dev/shm/fill", "wb") as stream:
    for _ in range(60):
        stream.write(bytes(2**20))
"""
"""Memory that belongs to no process: when the kernel has killed the program, it is still used."""
GARBAGE = {
    "nothing": "sys.exit(0)",
    "no number of outputs that is declared": "pathlib.Path('cwl.output.json').write_text('[{')",
    "a link out of its folder": (
        "pathlib.Path(f'square-{part}.txt').symlink_to('/etc/passwd'); sys.exit(0)"
    ),
    "a folder in place of a file": "pathlib.Path(f'square-{part}.txt').mkdir(); sys.exit(0)",
}


def tight(installation: Installation) -> Installation:
    """Return an installation whose pods have no room for the runner to notice lack of memory."""
    kubernetes = replace(installation.settings.kubernetes, runner_ram_mb=4)
    return replace(installation, settings=replace(installation.settings, kubernetes=kubernetes))


def memory_of_rounds(installation: Installation, job: Job) -> list[int]:
    table = schema.rounds.c
    query = select(table.ram_mb).where(table.job_id == job.id, table.step == "work")
    with installation.store.database.read() as connection:
        return list(connection.execute(query.order_by(table.round)).scalars())


def test_killed_by_the_kernel_it_gets_more_memory(
    cluster: Cluster, installation: Installation
) -> None:
    made = tight(installation)
    job = made.run("small-chain", {"count": 1, "code": LEAP.format(180)})
    assert memory_of_rounds(made, job) == [64, 128, 256]
    of_work = [verdict for step, _, verdict in made.verdicts(job) if step == "work"]
    assert of_work == ["more-memory", "more-memory", "commit"]
    assert_nothing_lost(cluster, made, {job.id: 1})


def test_killed_by_the_kernel_with_its_runner_it_gets_more_memory(
    cluster: Cluster, installation: Installation
) -> None:
    made = tight(installation)
    job = made.run("small-chain", {"count": 1, "code": FILL})
    assert memory_of_rounds(made, job) == [64, 128]
    first, second = (item for item in made.store.attempts(job.id) if item.step == "work")
    assert (first.verdict, second.verdict) == ("more-memory", "commit")
    assert (first.document or {})["error"]["detail"] == "the kernel killed it for lack of memory"
    assert_nothing_lost(cluster, made, {job.id: 1})


def test_killed_by_the_kernel_with_all_that_it_may_have_it_fails(
    cluster: Cluster, installation: Installation
) -> None:
    made = tight(installation)
    job = made.run("small-chain", {"count": 1, "code": LEAP.format(600)})
    assert memory_of_rounds(made, job) == [64, 128, 256]
    assert_failed(cluster, made, job, "memory")


@pytest.mark.parametrize("what", GARBAGE)
def test_a_program_that_leaves_nonsense_fails_its_job(
    what: str, cluster: Cluster, installation: Installation
) -> None:
    job = installation.run("small-chain", {"count": 2, "code": GARBAGE[what]})
    assert_failed(cluster, installation, job, "output")


def test_a_program_that_writes_into_its_runners_file_changes_nothing(
    cluster: Cluster, installation: Installation
) -> None:
    code = "pathlib.Path('../attempt.json').write_text('{}'); import time; time.sleep(3)"
    job = installation.run("small-chain", {"count": 2, "code": code})
    assert_nothing_lost(cluster, installation, {job.id: 2})


@pytest.mark.timeout(400)
def test_of_a_gigabyte_of_log_the_limit_is_kept(
    cluster: Cluster, installation: Installation
) -> None:
    code = "import os; line = b'x' * 2**20; [os.write(1, line) for _ in range(2**10)]"
    job = installation.run("small-chain", {"count": 1, "code": code})
    assert_nothing_lost(cluster, installation, {job.id: 1})
    (log,) = installation.workspace.job(job.id).glob("work/*/*/stdout")
    assert log.stat().st_size <= 1.01 * installation.settings.log_limit_bytes


def test_an_image_that_is_gone_fails_the_job_by_name_after_the_configured_wait(
    cluster: Cluster, installation: Installation
) -> None:
    images = installation.settings.kubernetes.images
    gone = images["cdi/test:1"].partition("@")[0] + "@sha256:" + "0" * 64
    kubernetes = replace(
        installation.settings.kubernetes, images={"cdi/test:1": gone}, pull_wait_s=5.0
    )
    made = replace(installation, settings=replace(installation.settings, kubernetes=kubernetes))
    job = made.run("small-chain", {"count": 1})
    assert_failed(cluster, made, job, "image-pull")
    assert gone in (job.error or {})["detail"]
    assert "the limit is 5 s" in (job.error or {})["detail"]


def assert_failed(cluster: Cluster, installation: Installation, job: Job, word: str) -> None:
    """Assert that a job failed for a reason with that word in it, and that nothing is left."""
    assert job.outcome == "failed"
    error = job.error or {}
    assert word in f"{error['title']} {error['detail']}"
    wait_until(lambda: not open_rounds(installation), "all rounds closed")
    wait_until(lambda: not cluster.left(installation), "no Job and no pod left")
    folder = installation.workspace.job(job.id)
    kept = {path.parent.name for path in folder.glob("**/outputs") if path.is_dir()}
    committed = {
        item.attempt for item in installation.store.attempts(job.id) if item.verdict == "commit"
    }
    assert kept == committed
