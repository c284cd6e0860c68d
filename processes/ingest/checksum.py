"""Comparing a file with a checksum that somebody else published."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

# Spellings of indexes -> algorithm.
ALGORITHMS = {
    "sha256": "sha256",
    "sha-256": "sha256",
    "sha512": "sha512",
    "sha1": "sha1",
    "md5": "md5",
    "md5sum": "md5",
}
_CHUNK = 1 << 20


def matches(path: Path, expected: Sequence[str] | None) -> tuple[str, str]:
    """Hash a file once, for the cache and for the published checksum.

    Returns:
        SHA-256 as hex, and what is wrong ("" if nothing is).
    """
    digests = {"sha256": hashlib.sha256()}
    if expected and expected[0] != "sha256":
        digests[expected[0]] = hashlib.new(expected[0], usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            for digest in digests.values():
                digest.update(chunk)
    found = {name: digest.hexdigest() for name, digest in digests.items()}
    wrong = ""
    if expected and found[expected[0]] != expected[1].lower():
        wrong = f"has {expected[0]} {found[expected[0]]}, its index says {expected[1]}"
    return found["sha256"], wrong
