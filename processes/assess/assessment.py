"""The stage from its inputs to its three files."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rasterio
import shapely
from shapely.geometry import shape

from processes.assess.candidates import CandidateSearch
from processes.assess.gathered import Gathered
from processes.assess.inventory import inventory_date, period_end, read_decisions, read_objects
from processes.assess.objects import Assessor
from processes.assess.output import append_candidates, append_objects
from processes.assess.provenance import Provenance
from processes.assess.seen import seen_in
from processes.assess.squares import squares_over
from processes.assess.thresholds import from_options
from processes.assess.trees import append_trees, start_trees
from processes.stage import InputDataError, Progress, complete
from processes.vector import add_index

OUT_OBJECTS = Path("assessed-objects.gpkg")
OUT_TREES = Path("assessed-trees.gpkg")
OUT_CANDIDATES = Path("assessed-candidates.gpkg")
SCRATCH = Path(".seen.scratch")
JUDGING = 0.8  # share of the work

CACHE_MB = 32  # of decoded blocks; GDAL would take a share of the machine's memory instead


def assess(args: argparse.Namespace, progress: Progress) -> None:
    """Judge the objects, list the trees, look for candidates and write the three files."""
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB):
        _assess(args, progress)


def read_area(path: Path) -> Any:
    """Return the area of the run as one geometry, in the CRS of the run."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["type"] == "FeatureCollection":
            parts = [shape(feature["geometry"]) for feature in document["features"]]
        else:
            parts = [shape(document.get("geometry") or document)]
        area = shapely.union_all(parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputDataError(
            "area cannot be read", f"{path.name}: expected GeoJSON polygons; {error!r}"
        ) from error
    if area.is_empty or area.area == 0:
        raise InputDataError("area is empty", f"{path.name} holds no polygon")
    return area


def _assess(args: argparse.Namespace, progress: Progress) -> None:
    limits = from_options(args)
    end = period_end(args.period)
    default_date = inventory_date(args.inventory_date, None)
    if args.inventory_date and default_date is None:
        raise InputDataError(
            "inventory date is not valid", f"{args.inventory_date!r}; expected year-month-day"
        )
    objects = read_objects(args.inventory)
    decisions = read_decisions(args.decisions)
    area = read_area(args.area)
    gathered = Gathered.find(args.batches, objects.crs)
    provenance = Provenance.read(args.items, objects.crs, gathered.dates_used())
    with seen_in(SCRATCH) as seen:
        assessor = Assessor(objects, gathered, provenance, limits, end, default_date, seen)
        _judge_objects(assessor, decisions, progress)
        _list_trees(assessor, area, progress)
    gathered.close()


def _judge_objects(
    assessor: Assessor, decisions: Mapping[str, tuple[str, str]], progress: Progress
) -> None:
    objects, done = assessor.objects, 0
    with complete(OUT_OBJECTS) as partial:
        append_objects(partial, objects, [], decisions, assessor.limits)
        for judged in assessor.judge():
            append_objects(partial, objects, judged, decisions, assessor.limits)
            done += len(judged)
            progress.update(JUDGING * done, len(objects), "objects", "judging")


def _list_trees(assessor: Assessor, area: Any, progress: Progress) -> None:
    """Write the trees and the candidates, which need the verdicts on all crowns near objects."""
    search, crs = CandidateSearch(assessor, area), assessor.objects.crs
    squares = list(squares_over(assessor.gathered.crowns_extent()))
    total = max(len(assessor.objects), 1)
    shapely.prepare(area)
    with complete(OUT_TREES) as trees, complete(OUT_CANDIDATES) as candidates:
        start_trees(trees, crs)
        append_candidates(candidates, [], crs)
        for done, square in enumerate(squares, 1):
            stems = append_trees(trees, square, search.margin, assessor, area)
            append_candidates(candidates, search.add(square, stems), crs)
            share = JUDGING + (1 - JUDGING) * done / len(squares)
            progress.update(share * total, total, "objects", "looking for candidates")
        append_candidates(candidates, search.rest(), crs)
        add_index(trees, "trees", "tree_id")  # who reads the trees in parts takes them by id
    progress.update(total, total, "objects", "done")
