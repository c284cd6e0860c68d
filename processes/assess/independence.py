"""Counting independent sources: data of one flight or point cloud are one source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from processes.assess.evidence import Source

GROUPS = ("surface", "image", "sentinel2")


def independent(groups: Iterable[str], sources: Mapping[str, Source]) -> int:
    """Return how many of `groups` are independent of one another.

    Groups that share a campaign count once. A group of the air (surface, image) whose campaign
    is unknown may come from the other's flight, so the two count once as well. Sentinel-2 is
    always a source of its own.
    """
    wanted = set(groups)
    count = len(wanted)
    if {"surface", "image"} <= wanted and not separate("surface", "image", sources):
        count -= 1
    return count


def separate(first: str, second: str, sources: Mapping[str, Source]) -> bool:
    """Tell whether two groups are known to come from different campaigns."""
    if "sentinel2" in (first, second):
        return first != second
    one = sources.get(first, Source(first)).campaigns
    two = sources.get(second, Source(second)).campaigns
    return bool(one and two) and not one & two
