"""Turn one batch's raw images into what later steps need.

Gives the Sentinel-2 metrics of the core, the orthophoto around its objects, and a file that says
what was used, what was not and whether nDOM and orthophoto lie on one another.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processes.batch_arguments import add_batch, batch_of
from processes.stage import InputDataError, Progress, run_stage, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processes.grid import Batch
    from processes.preprocess.image import Written
    from processes.preprocess.items import Orthophoto, Scene
    from processes.preprocess.objects import InventoryObject

NOT_MEASURED: dict[str, Any] = {
    "status": "not-measured",
    "dx_m": None,
    "dy_m": None,
    "correlation": None,
    "n": 0,
    "objects": {},
}


def parser() -> argparse.ArgumentParser:
    """Describe the command line; names and defaults are those of ``process.cwl``."""
    p = argparse.ArgumentParser(prog="python -m processes.preprocess", description=__doc__)
    add_batch(p, items_needed=True)
    p.add_argument("--objects", type=Path, required=True, help="inventory (GeoPackage)")
    p.add_argument("--period", required=True, help="2023-01-01/2023-12-31")
    p.add_argument("--use-unclassified", action="store_true", help="SCL 7 counts as clear")
    p.add_argument("--cloud-radius", type=float, default=60.0, help="metres around clouds")
    p.add_argument("--bare-ndvi", type=float, default=0.3, help="bare soil lies below")
    p.add_argument("--spring-months", type=_months, default=[3, 4, 5], help="3,4,5")
    p.add_argument("--autumn-months", type=_months, default=[9, 10, 11], help="9,10,11")
    p.add_argument("--image-margin", type=float, default=20.0, help="metres around objects")
    p.add_argument("--image-resolution", type=float, default=0.2, help="metres; 0: as it is")
    p.add_argument("--max-shift", type=float, default=1.0, help="metres between nDOM and image")
    p.add_argument("--min-shift-correlation", type=float, default=0.35, help="0 to 1")
    return p


def run(args: argparse.Namespace, progress: Progress) -> None:
    """Write ``sentinel2-<id>.tif``, ``image-<id>.tif`` (both only if there is any) and the JSON."""
    os.environ.setdefault("GDAL_CACHEMAX", "256")  # MB; GDAL's own default follows the machine
    from processes.preprocess.items import orthophotos, read_items, scenes
    from processes.preprocess.objects import objects_near

    batch = batch_of(args)
    items = read_items(args.items)
    usable, discarded = _in_period(scenes(items, args.s2), args.period)
    photos = orthophotos(items, args.dop)
    objects = objects_near(args.objects, batch.core.grow(args.image_margin), batch.crs)
    days = len({scene.day for scene in usable})
    total = days + len(objects)

    def report(done: float) -> None:
        progress.update(int(done), total, "dates and objects")

    report(0)
    document: dict[str, Any] = {"batch": batch.id}
    document["sentinel2"] = _sentinel2(batch, usable, discarded, args, report)
    document["image"], document["registration"] = _image(
        batch, photos, objects, args, lambda done: report(days + done)
    )
    document["missing"] = _missing(document, objects)
    report(total)
    write_json(Path(f"prepared-{batch.id}.json"), document)


def _sentinel2(
    batch: Batch,
    usable: Sequence[Scene],
    discarded: list[dict[str, str]],
    args: argparse.Namespace,
    report: Any,
) -> dict[str, Any]:
    from processes.preprocess.sampling import CellGrid
    from processes.preprocess.sentinel2 import CELL, METRICS, Rules, yearly_metrics
    from processes.raster import write_cog

    days: tuple[str, ...] = ()
    if usable:
        rules = Rules(
            args.use_unclassified,
            args.cloud_radius,
            args.bare_ndvi,
            tuple(args.spring_months),
            tuple(args.autumn_months),
        )
        grid = CellGrid.covering(batch.core, CELL, batch.crs)
        if not grid.rows or not grid.cols:
            raise InputDataError(
                "batch too small", f"the core {batch.core.as_tuple()} holds no cell of {CELL} m"
            )
        metrics = yearly_metrics(usable, grid, rules, report)
        days = metrics.days
        write_cog(
            Path(f"sentinel2-{batch.id}.tif"),
            metrics.values,
            transform=grid.transform,
            crs=batch.crs,
            nodata=float("nan"),
            descriptions=METRICS,
        )
    clouded = sorted({scene.day for scene in usable} - set(days))
    discarded += [{"date": day, "reason": "no clear cell"} for day in clouded]
    return {
        "dates_used": list(days),
        "dates_discarded": sorted(discarded, key=lambda entry: (entry["date"], entry["reason"])),
        "items": [scene.id for scene in usable if scene.day in days],
    }


def _image(
    batch: Batch,
    photos: Sequence[Orthophoto],
    objects: Sequence[InventoryObject],
    args: argparse.Namespace,
    report: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    from contextlib import ExitStack

    from processes.preprocess.image import write_image
    from processes.preprocess.mosaic import Mosaic
    from processes.preprocess.overlay import Limits, Picture, Surface, registration

    written, shift = None, dict(NOT_MEASURED)
    if photos and objects:
        windows = {item.id: item.around(args.image_margin) for item in objects}
        path = Path(f"image-{batch.id}.tif")
        limits = Limits(args.max_shift, args.min_shift_correlation)
        with ExitStack() as stack:
            mosaic = Mosaic.open(photos, batch.crs, stack, args.image_resolution)
            written = write_image(path, mosaic, batch.core, batch.crs, windows, report)
            picture = Picture(mosaic, path, batch.core)
            shift = registration(objects, batch.core, Surface(args.ndom), picture, limits)
    return _image_facts(photos, written), shift


def _image_facts(photos: Sequence[Orthophoto], written: Written | None) -> dict[str, Any]:
    used = [photo for photo in photos if written and photo.id in written.tiles]
    dates = sorted({photo.date for photo in used if photo.date})
    campaigns = sorted({photo.campaign for photo in used if photo.campaign})
    return {
        "objects": list(written.objects) if written else [],
        "bands": list(written.bands) if written else [],
        "date": dates[0] if dates else None,  # the oldest: it must not look newer than it is
        "dates": dates,
        "campaign": campaigns[0] if campaigns else None,
        "campaigns": campaigns,
        "items": [photo.id for photo in used],
    }


def _in_period(scenes: Sequence[Scene], period: str) -> tuple[list[Scene], list[dict[str, str]]]:
    """Split scenes into those to use and the dates that are of no use, with the reason."""
    start, end = _interval(period)
    usable, discarded = [], []
    for scene in scenes:
        lacking = scene.lacking()
        if not start <= scene.day <= end:
            discarded.append({"date": scene.day, "reason": "outside the period"})
        elif lacking:
            reason = f"{scene.id} lacks {', '.join(lacking)}"
            discarded.append({"date": scene.day, "reason": reason})
        else:
            usable.append(scene)
    return usable, discarded


def _interval(period: str) -> tuple[str, str]:
    parts = period.split("/")
    if len(parts) != 2:
        raise InputDataError(
            "period cannot be read", f"{period!r}; expected e.g. 2023-01-01/2023-12-31"
        )
    start, end = (part[:10] for part in parts)
    return ("" if start in ("", "..") else start), ("9999" if end in ("", "..") else end)


def _missing(document: dict[str, Any], objects: Sequence[InventoryObject]) -> list[dict[str, Any]]:
    missing: list[dict[str, Any]] = []
    if not document["sentinel2"]["dates_used"]:
        missing.append({"product": "sentinel-2-l2a", "reason": "no clear observation"})
    shown = set(document["image"]["objects"])
    missing += [
        {"product": "dop", "object_id": item.id, "reason": "no orthophoto within the core"}
        for item in objects
        if item.id not in shown
    ]
    return missing


def _months(text: str) -> list[int]:
    months = [int(part) for part in text.split(",") if part]
    if not all(1 <= month <= 12 for month in months):
        raise argparse.ArgumentTypeError(f"months are 1 to 12, got {text!r}")
    return months


if __name__ == "__main__":
    raise SystemExit(run_stage(parser(), run))
