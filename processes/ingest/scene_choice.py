"""Choosing Sentinel-2 scenes: over the area, in the period, not too cloudy, each datatake once."""

from __future__ import annotations

from collections.abc import Sequence

import shapely
from shapely.geometry.base import BaseGeometry

from processes.ingest import folder
from processes.ingest.findings import Findings
from processes.ingest.period import Period
from processes.ingest.scenes import Scene, one_copy
from processes.ingest.sources import Source
from processes.stage import InputDataError


def choose_scenes(
    sources: Sequence[Source],
    area: BaseGeometry,
    period: Period,
    max_cloud: float,
    findings: Findings,
) -> list[tuple[Source, list[Scene]]]:
    """Choose the scenes of each source; what an earlier source has is not taken from a later one.

    Args:
        sources: Sources of product sentinel-2-l2a, in the order of the request.
        area: Ground of the run's tiles in lon/lat.
        period: The run's time span.
        max_cloud: Highest share of clouds in per cent; scenes that do not say are taken.
        findings: Where other copies, and the lack of any scene, are named.

    Raises:
        InputDataError: A source is not usable.
        TemporaryError: A server does not answer.
    """
    taken: set[tuple[str, str]] = set()
    chosen = []
    shapely.prepare(area)
    for source in sources:
        listed = _listed(source, area, period, max_cloud, findings)
        fitting = [
            scene
            for scene in listed
            if period.contains(scene.moment)
            and (scene.cloud is None or scene.cloud <= max_cloud)
            and shapely.intersects(area, scene.footprint)
            and (scene.datatake, scene.grid) not in taken
        ]
        kept, dropped = one_copy(fitting)
        for lost, won in dropped:
            findings.note(f"{source.name}: {lost.id} is another copy of {won.id} and is left out")
        taken.update((scene.datatake, scene.grid) for scene in kept)
        chosen.append((source, kept))
    if sources and not taken:
        names = ", ".join(source.name for source in sources)
        findings.lacks(
            *("sentinel-2-l2a", names, "all scenes", "no-scene"),
            f"none over the area in {period} with at most {max_cloud:g} % clouds",
        )
    return chosen


def _listed(
    source: Source,
    area: BaseGeometry,
    period: Period,
    max_cloud: float,
    findings: Findings,
) -> list[Scene]:
    if source.type == "folder":
        return folder.list_scenes(source, findings)
    if source.type == "stac":
        from processes.ingest import stac  # takes half a second

        return stac.list_scenes(source, area.bounds, period, max_cloud, findings)
    raise InputDataError(
        f"source {source.name} is not usable",
        f"type {source.type} serves no Sentinel-2 scenes; use stac or folder",
    )
