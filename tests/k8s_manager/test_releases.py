"""Publishing: readers see the old release or the new one, and two at once are both in."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest

from k8s_manager import releases
from k8s_manager.dataset_settings import Dataset
from k8s_manager.errors import InvalidInputs, UnknownDataset
from tests.k8s_manager.installation import Installation, eventually, process_of

pytestmark = pytest.mark.every_store


def names(installation: Installation, dataset: str = "demo") -> list[str]:
    release = installation.store.current_releases()[dataset]
    return (installation.workspace.path(release.path) / "names.txt").read_text().split()


def test_each_release_starts_from_the_one_before(installation: Installation) -> None:
    generation = installation.store.generation()
    for name in ("a", "b"):
        assert installation.run("release", {"name": name}).outcome == "successful"
    assert names(installation) == ["a", "b"]
    newest, first = installation.store.releases("demo")
    assert (newest.version, newest.previous, newest.current) == ("000002", "000001", True)
    assert (first.version, first.previous, first.current) == ("000001", None, False)
    assert newest.path == "workspace:releases/demo/000002"
    assert installation.store.generation() == generation + 2


def test_a_failed_step_leaves_the_old_release(installation: Installation) -> None:
    installation.run("release", {"name": "a"})
    job = installation.run("release", {"name": "b", "pause": -1})
    assert job.outcome == "failed"
    assert names(installation) == ["a"]
    assert [path.name for path in (installation.workspace.root / "releases/demo").iterdir()] == [
        "000001"
    ]


def test_two_releases_at_once_are_both_in_the_result(installation: Installation) -> None:
    jobs = [installation.submit("release", {"name": name, "pause": 0.5}) for name in "ab"]
    controller, stop = installation.controller(), threading.Event()
    thread = threading.Thread(target=controller.run, args=(stop,))
    thread.start()
    store = installation.store
    assert eventually(lambda: all(store.job(job.id).finished_at_all for job in jobs))
    stop.set()
    thread.join()
    controller.dispose()
    assert {store.job(job.id).outcome for job in jobs} == {"successful"}
    assert names(installation) == ["a", "b"]
    verdicts = sorted(verdict for job in jobs for *_, verdict in installation.verdicts(job))
    assert verdicts == ["commit", "commit", "superseded"]


def test_rollback_and_the_release_after_it(installation: Installation) -> None:
    for name in ("a", "b"):
        installation.run("release", {"name": name})
    generation = installation.store.generation()
    assert installation.store.rollback("demo", "000001").version == "000001"
    assert installation.store.generation() == generation + 1
    assert names(installation) == ["a"]
    installation.run("release", {"name": "c"})
    current = installation.store.current_releases()["demo"]
    assert (current.version, current.previous) == ("000003", "000001")
    assert names(installation) == ["a", "c"]
    for dataset, version in (("demo", "000009"), ("demo", "x"), ("unknown", "000001")):
        with pytest.raises(UnknownDataset):
            installation.store.rollback(dataset, version)


def test_a_release_outlives_its_job(installation: Installation) -> None:
    job = installation.run("release", {"name": "a"})
    installation.store.remove(job.id)
    controller = installation.controller()
    controller.step()
    controller.dispose()
    assert not installation.workspace.job(job.id).exists()
    assert names(installation) == ["a"]


def test_what_a_killed_controller_left_of_a_release_is_replaced(
    installation: Installation,
) -> None:
    left = installation.workspace.release("demo", "000001")
    left.mkdir(parents=True)
    (left / "half.txt").touch()
    installation.run("release", {"name": "a"})
    assert names(installation) == ["a"]
    assert not (left / "half.txt").exists()
    assert [path.name for path in left.parent.iterdir()] == ["000001"]


def test_datasets_are_written_by_the_configured_processes_only(
    installation: Installation,
) -> None:
    settings = installation.settings
    release, python = process_of("release"), process_of("python")
    releases.check_dataset(settings, release, {"dataset": "demo"})
    releases.check_dataset(settings, release, {})
    releases.check_dataset(settings, python, {"dataset": "whatever"})
    for name in ("other", "unknown", 7):
        with pytest.raises(InvalidInputs, match="/inputs/dataset: expected one of demo"):
            releases.check_dataset(settings, release, {"dataset": name})


def test_a_default_dataset_that_is_not_configured_is_refused(installation: Installation) -> None:
    """Else the outputs would stay the job's own, and nobody would have said so."""
    datasets = {"mine": Dataset("mine", None, "EPSG:25832", ("release",))}
    settings = dataclasses.replace(installation.settings, datasets=datasets)
    with pytest.raises(InvalidInputs, match="expected one of mine, got 'demo'"):
        releases.check_dataset(settings, process_of("release"), {})


def test_links_in_a_release_are_refused(tmp_path: Path) -> None:
    from k8s_manager.workspace import copy_tree

    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="is a link"):
        copy_tree(tmp_path / "from", tmp_path / "to")
