"""Making room in the input cache: never what somebody needs, whoever uses it meanwhile."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from k8s_manager.input_cache import InputCache, Needed, needed
from k8s_manager.records import NewJob
from processes.ingest.cache import Cache, Stored
from tests.k8s_manager.installation import Installation, eventually


def free() -> Needed:
    return Needed(frozenset(), time.time() - 3600)


def fine(_path: Path) -> None:
    pass


@pytest.fixture
def stage(installation: Installation) -> Cache:
    """The cache as the stage `ingest` uses it."""
    return Cache(installation.workspace.root / "cache")


@pytest.fixture
def cache(installation: Installation) -> InputCache:
    return InputCache(installation.workspace)


def put(stage: Cache, folder: Path, content: str, days_ago: float = 10) -> Stored:
    """Let the stage take a file into the cache, used last so many days ago."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{content}.tif"
    path.write_text(content * 100)
    stored = stage.copy(path, fine)
    used = time.time() - days_ago * 86_400
    os.utime(stored.path, (used, used))
    return stored


def test_what_was_used_least_recently_goes_first(
    stage: Cache, cache: InputCache, tmp_path: Path
) -> None:
    stored = {name: put(stage, tmp_path / "in", name, days) for name, days in
              (("a", 5), ("b", 9), ("c", 7))}  # fmt: skip
    assert [item.sha256 for item in cache.objects()] == [stored[n].sha256 for n in "bca"]
    would = cache.prune(free(), to=150, dry_run=True)
    assert (would.objects, would.size, would.left, len(cache.objects())) == (2, 200, 100, 3)
    assert cache.prune(free(), to=150) == would
    assert [item.sha256 for item in cache.objects()] == [stored["a"].sha256]
    assert len(cache.records()) == 1
    assert cache.prune(free(), older_than_s=6 * 86_400).objects == 0
    assert cache.prune(free()).left == 0


def test_a_file_used_again_counts_as_new(stage: Cache, cache: InputCache, tmp_path: Path) -> None:
    old = put(stage, tmp_path / "in", "a")
    assert stage.copy(tmp_path / "in" / "a.tif", fine) == old
    assert cache.prune(free()).objects == 0
    assert old.path.exists()


def test_a_file_used_between_the_look_and_the_deletion_stays(
    stage: Cache, cache: InputCache, tmp_path: Path
) -> None:
    put(stage, tmp_path / "in", "a")
    (item,) = cache.objects()
    stage.copy(tmp_path / "in" / "a.tif", fine)
    assert not cache.delete(item)
    assert item.path.exists()


def test_content_fetched_anew_from_elsewhere_stays(
    stage: Cache, cache: InputCache, tmp_path: Path
) -> None:
    put(stage, tmp_path / "in", "a")
    (item,) = cache.objects()
    (tmp_path / "same.tif").write_text("a" * 100)
    stored = stage.copy(tmp_path / "same.tif", fine)
    assert not cache.delete(item)
    assert stored.path.read_text() == "a" * 100


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_file_used_in_the_moment_of_its_deletion_is_there(
    stage: Cache,
    cache: InputCache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    put(stage, tmp_path / "in", "a")
    (item,) = cache.objects()
    real, used = Path.rename, []

    def rename(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", real)
        if moment == "before":
            used.append(stage.copy(tmp_path / "in" / "a.tif", fine))
        moved = real(self, target)
        if moment == "after":
            used.append(stage.copy(tmp_path / "in" / "a.tif", fine))
        return moved

    monkeypatch.setattr(Path, "rename", rename)
    deleted = cache.delete(item)
    assert deleted == (moment == "after")  # the stage found nothing and fetched it again
    assert used[0].path.read_text() == "a" * 100


def test_what_a_killed_one_left_aside_is_put_back(
    stage: Cache, cache: InputCache, tmp_path: Path
) -> None:
    stored = put(stage, tmp_path / "in", "a", days_ago=0)
    aside = tmp_path / "home" / "workspace" / "cache" / "aside" / stored.sha256
    aside.parent.mkdir()
    stored.path.rename(aside)
    cache.prune(free())
    assert stored.path.exists()
    assert not aside.exists()


def test_stages_and_pruning_at_once_lose_nothing(
    stage: Cache, cache: InputCache, tmp_path: Path
) -> None:
    """Whatever a stage is given stays as long as its job runs, however often somebody prunes."""
    names = [f"f{n}" for n in range(12)]
    for name in names:
        put(stage, tmp_path / "in", name)
    begun, stop = time.time(), threading.Event()
    lost: list[str] = []
    deleted: list[int] = []

    def use(own: list[str]) -> None:
        other = Cache(stage._root)
        while not stop.is_set():
            for name in own:
                stored = other.copy(tmp_path / "in" / f"{name}.tif", fine)
                if not stored.path.exists():
                    lost.append(name)

    def make_room() -> None:
        while not stop.is_set():
            deleted.append(cache.prune(Needed(frozenset(), begun)).objects)

    threads = [threading.Thread(target=use, args=(names[n::3],)) for n in range(3)]
    threads += [threading.Thread(target=make_room) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    pruned = eventually(lambda: len(deleted) > 1)
    stop.set()
    for thread in threads:
        thread.join()
    assert lost == []
    assert [name for name in names if not stage.copy(tmp_path / "in" / f"{name}.tif", fine)] == []
    assert pruned


@pytest.mark.every_store
def test_what_jobs_need_stays(
    installation: Installation, stage: Cache, cache: InputCache, tmp_path: Path
) -> None:
    stored = put(stage, tmp_path / "in", "a")
    job = installation.store.create_job(names_a_cached_file(stored))
    assert needed(installation.store.database).since <= time.time() - 3600
    installation.finish(job)
    assert installation.store.job(job.id).outcome == "successful"
    use = needed(installation.store.database)
    assert use.digests == {stored.sha256}
    assert cache.prune(use).objects == 0
    installation.store.remove(job.id)
    assert needed(installation.store.database).digests == frozenset()
    os.utime(stored.path, (1, 1))
    assert cache.prune(needed(installation.store.database)).objects == 1


def test_what_was_used_since_the_oldest_unfinished_job_began_stays(
    installation: Installation, stage: Cache, cache: InputCache, tmp_path: Path
) -> None:
    from sqlalchemy import update

    from k8s_manager import schema

    job = installation.submit("python", {"code": "pass"})
    with installation.store.database.write() as connection:
        created = time.time() - 5 * 86_400
        connection.execute(update(schema.jobs).values(created=created))
    looked_up = put(stage, tmp_path / "in", "looked up", days_ago=4)
    put(stage, tmp_path / "in", "earlier", days_ago=6)
    assert cache.prune(needed(installation.store.database)).objects == 1
    assert [item.sha256 for item in cache.objects()] == [looked_up.sha256]
    installation.finish(job)
    assert cache.prune(needed(installation.store.database)).objects == 1


def test_abandoned_downloads_go_and_those_under_way_stay(stage: Cache, cache: InputCache) -> None:
    paths = {}
    for name in ("abandoned", "under way", "new"):
        paths[name] = stage.partial(name)
        paths[name].write_text("half")
        if name != "new":
            os.utime(paths[name], (1, 1))
    with stage.reserved("under way"):
        cache.prune(free())
    assert cache.partials() == sorted([paths["under way"], paths["new"]])


def test_corrupt_objects_and_strangers_are_found(
    stage: Cache, cache: InputCache, tmp_path: Path
) -> None:
    good, bad = (put(stage, tmp_path / "in", name) for name in ("good", "bad"))
    bad.path.chmod(0o600)
    bad.path.write_text("x" * bad.size)
    found = {item.sha256: corrupt for item, corrupt in cache.corrupt()}
    assert found == {good.sha256: False, bad.sha256: True}
    stranger = good.path.with_name("readme.txt")
    stranger.touch()
    assert cache.strangers() == [stranger]


def names_a_cached_file(stored: Stored) -> NewJob:
    """Return a job whose program names a file of the cache, as `ingest` does."""
    value = {"class": "File", "location": f"cache:sha256/{stored.sha256}", "basename": "a.tif"}
    code = f"import json; json.dump({{'a': {value!r}}}, open('cwl.output.json', 'w'))"
    document = {
        "cwlVersion": "v1.2", "class": "CommandLineTool", "id": "named",
        "baseCommand": ["python", "-c", code], "inputs": {}, "outputs": {"a": {"type": "File"}},
    }  # fmt: skip
    snapshot = {"path": "named.cwl", "documents": {"named.cwl": document}}
    return NewJob("named", "0", snapshot, {"values": {}})


def test_the_digest_of_an_object_is_its_name(stage: Cache, tmp_path: Path) -> None:
    stored = put(stage, tmp_path / "in", "a")
    assert hashlib.sha256(stored.path.read_bytes()).hexdigest() == stored.path.name
