"""`cdi cache` on a real cache: what it holds, what goes, what is broken."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from processes.ingest.cache import Cache
from tests.ogcapi.test_command_line import cdi


@pytest.fixture
def cached(tmp_path: Path) -> dict[str, Path]:
    """Three files that were used last three, two and one days ago."""
    cache = Cache(tmp_path / "var" / "workspace" / "cache")
    placed = {}
    for name, days in (("a", 3), ("b", 2), ("c", 1)):
        source = tmp_path / f"{name}.tif"
        source.write_text(name * 1000)
        placed[name] = cache.copy(source, lambda _path: None).path
        os.utime(placed[name], (time.time() - days * 86_400,) * 2)
    return placed


def test_du_says_what_is_there(tmp_path: Path, cached: dict[str, Path]) -> None:
    os.utime(cached["a"])  # somebody may be using it
    status, out, _ = cdi(tmp_path, "cache", "du")
    rows = dict(re.findall(r"(?m)^\s*([a-z -]+?)\s{2,}(.*?)\s*$", out))
    assert status == 0
    assert {name: rows[name].split(maxsplit=1) for name in ("objects", "in use", "free")} == {
        "objects": ["3", "3.0 kB"], "in use": ["1", "1.0 kB"], "free": ["2", "2.0 kB"],
    }  # fmt: skip
    assert (rows["known origins"], rows["limit"]) == ("3", "50.0 GB")


def test_prune_deletes_what_was_used_least_recently(
    tmp_path: Path, cached: dict[str, Path]
) -> None:
    status, out, _ = cdi(tmp_path, "cache", "prune", "--to", "2.5k", "--dry-run")
    assert (status, out.strip()) == (
        0, "Would delete 1 objects, 1.0 kB; 2.0 kB remain, of which 0 bytes are in use.",
    )  # fmt: skip
    assert all(path.exists() for path in cached.values())
    assert cdi(tmp_path, "cache", "prune", "--to", "2.5k")[0] == 0
    assert [name for name, path in cached.items() if path.exists()] == ["b", "c"]
    assert cdi(tmp_path, "cache", "prune", "--older-than", "1.5")[0] == 0
    assert [name for name, path in cached.items() if path.exists()] == ["c"]


def test_prune_says_when_the_rest_is_in_use(tmp_path: Path, cached: dict[str, Path]) -> None:
    os.utime(cached["a"])
    status, out, error = cdi(tmp_path, "cache", "prune", "--to", "0")
    assert "Deleted 2 objects" in out
    assert (status, error.strip()) == (1, "That is more than 0 bytes: the rest is in use.")
    assert cached["a"].exists()


def test_prune_needs_a_size(tmp_path: Path, cached: dict[str, Path]) -> None:
    status, _, error = cdi(tmp_path, "cache", "prune", CDI_CACHE_LIMIT_BYTES="0")
    assert (status, "give --to a size" in error) == (2, True)
    status, _, error = cdi(tmp_path, "cache", "prune", "--to", "much")
    assert (status, "expected bytes, or a number with k, M, G or T" in error) == (2, True)
    assert cdi(tmp_path, "cache", "prune", CDI_CACHE_LIMIT_BYTES="1000")[0] == 0
    assert [name for name, path in cached.items() if path.exists()] == ["c"]


def test_verify_names_what_is_corrupt_and_deletes_it_on_request(
    tmp_path: Path, cached: dict[str, Path]
) -> None:
    assert cdi(tmp_path, "cache", "verify")[:2] == (0, "3 objects read, 0 wrong.\n")
    for name in ("a", "b"):
        used = cached[name].stat().st_mtime
        cached[name].chmod(0o600)
        cached[name].write_text("x" * 1000)
        os.utime(cached[name], None if name == "a" else (used, used))
    status, out, error = cdi(tmp_path, "cache", "verify")
    assert (status, out) == (1, "3 objects read, 2 wrong.\n")
    assert f"{cached['b']}: corrupt\n" in error
    assert cached["b"].exists()
    status, _, error = cdi(tmp_path, "cache", "verify", "--delete")
    assert status == 1
    assert f"{cached['a']}: corrupt, but in use" in error
    assert f"{cached['b']}: corrupt, deleted" in error
    assert [name for name, path in cached.items() if path.exists()] == ["a", "c"]


def test_an_installation_without_a_cache_has_an_empty_one(tmp_path: Path) -> None:
    assert cdi(tmp_path, "cache", "du")[0] == 0
    assert cdi(tmp_path, "cache", "prune")[0] == 0
    assert cdi(tmp_path, "cache", "verify")[0] == 0
