"""The stage from its inputs to its three files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import rasterio
import shapely
from shapely.geometry import shape

from processes.assess.candidates import find_candidates
from processes.assess.gathered import Gathered
from processes.assess.inventory import inventory_date, period_end, read_decisions, read_objects
from processes.assess.objects import Assessor
from processes.assess.output import write_candidates, write_objects
from processes.assess.provenance import Provenance
from processes.assess.thresholds import from_options
from processes.assess.trees import write_trees
from processes.stage import InputDataError, Progress

OUT_OBJECTS = Path("assessed-objects.gpkg")
OUT_TREES = Path("assessed-trees.gpkg")
OUT_CANDIDATES = Path("assessed-candidates.gpkg")


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
    assessor = Assessor(objects, gathered, provenance, limits, end, default_date)
    judged = []
    total = max(len(objects), 1)
    for done, entry in enumerate(assessor.judge(), 1):
        judged.append(entry)
        progress.update(0.8 * done, total, "objects", "judging")
    write_objects(OUT_OBJECTS, objects, judged, decisions, limits)
    stems = write_trees(OUT_TREES, gathered, area, assessor)
    progress.update(0.9 * total, total, "objects", "looking for candidates")
    candidates = find_candidates(stems, gathered, assessor, area)
    write_candidates(OUT_CANDIDATES, candidates, objects.crs)
    gathered.close()
    progress.update(total, total, "objects", "done")
