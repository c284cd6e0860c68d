"""The cache holds whole files only, each once, whoever asks at the same time."""

import os
import subprocess
import sys
import threading

import pytest

from processes.ingest.cache import Cache, digest_of
from processes.ingest.whole_raster import DamagedFileError
from processes.stage import EXIT_TRY_AGAIN, InputDataError


def fine(path):
    pass


def objects(root):
    return sorted(path.name for path in (root / "sha256").glob("*/*"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tile.tif"
    path.write_bytes(b"abc")
    return path


ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_lies_under_its_hash_where_the_layout_says(tmp_path, file):
    stored = Cache(tmp_path / "cache").copy(file, fine)
    assert stored.sha256 == ABC
    assert stored.path == tmp_path / "cache" / "sha256" / "ba" / ABC
    assert stored.path.read_bytes() == b"abc"
    assert not os.access(stored.path, os.W_OK) or os.geteuid() == 0


def test_a_file_that_was_not_changed_is_not_copied_again(tmp_path, file):
    cache = Cache(tmp_path / "cache")
    first = cache.copy(file, fine)
    before = first.path.stat().st_ino
    assert cache.copy(file, lambda path: pytest.fail("checked again")) == first
    assert first.path.stat().st_ino == before


def test_a_file_that_was_changed_is_copied_again(tmp_path, file):
    cache = Cache(tmp_path / "cache")
    cache.copy(file, fine)
    file.write_bytes(b"abcd")
    assert cache.copy(file, fine).size == 4
    assert len(objects(tmp_path / "cache")) == 2


def test_a_damaged_file_leaves_nothing_behind(tmp_path, file):
    def damaged(path):
        raise DamagedFileError("cut")

    with pytest.raises(DamagedFileError):
        Cache(tmp_path / "cache").copy(file, damaged)
    assert objects(tmp_path / "cache") == []
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_cached_file_that_lost_bytes_is_fetched_again(tmp_path, file):
    cache = Cache(tmp_path / "cache")
    stored = cache.copy(file, fine)
    stored.path.chmod(0o644)
    stored.path.write_bytes(b"ab")
    assert cache.copy(file, fine).path.read_bytes() == b"abc"


def test_verifying_finds_a_changed_byte_that_the_size_does_not_show(tmp_path, file):
    stored = Cache(tmp_path / "cache").copy(file, fine)
    stored.path.chmod(0o644)
    stored.path.write_bytes(b"abX")
    assert Cache(tmp_path / "cache").copy(file, fine).path.read_bytes() == b"abX"
    assert Cache(tmp_path / "cache", verify=True).copy(file, fine).path.read_bytes() == b"abc"


def test_a_file_read_in_place_keeps_its_path_and_has_its_content_s_hash(tmp_path, file):
    cache = Cache(tmp_path / "cache")
    stored = cache.in_place(file, fine)
    assert (stored.path, stored.sha256, stored.in_place) == (file, ABC, True)
    assert objects(tmp_path / "cache") == []
    assert cache.in_place(file, lambda path: pytest.fail("read again")) == stored


def test_eight_threads_that_want_the_same_file_copy_it_once(tmp_path, file):
    cache, checks = Cache(tmp_path / "cache"), []
    threads = [threading.Thread(target=lambda: cache.copy(file, checks.append)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(checks) == 1


FILL = """
import sys
from processes.ingest.cache import Cache
from processes.stage import run_stage
import argparse, pathlib
source, root = map(pathlib.Path, sys.argv[1:])
def run(args, progress):
    Cache(root).copy(source, lambda path: None)
raise SystemExit(run_stage(argparse.ArgumentParser(), run, []))
"""


def test_a_full_disk_says_so_and_leaves_nothing_half_in_the_cache(tmp_path, small_disk):
    big = tmp_path / "big.tif"
    big.write_bytes(os.urandom(1_000_000))
    ended = subprocess.run(
        [sys.executable, "-c", FILL, big, small_disk / "cache"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == EXIT_TRY_AGAIN
    assert "no space left" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert objects(small_disk / "cache") == []
    assert not list(small_disk.rglob("*.part"))


def test_the_digest_of_a_file_is_its_sha_256(file):
    assert digest_of(file) == ABC


def test_a_cache_that_cannot_be_made_is_named(tmp_path, file):
    with pytest.raises(InputDataError, match="CDI_CACHE"):
        Cache(file)
