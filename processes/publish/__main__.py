"""Publish: turn assessed data into a release that has passed every check, or make none at all.

The release is put together in a hidden folder and appears under its name only when complete.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processes.stage import InputDataError, Progress, complete, run_stage, write_json

if TYPE_CHECKING:
    from processes.publish.carry_over import Merged
    from processes.publish.checks import Checks
    from processes.publish.layers import Layer
    from processes.publish.manifest import Previous

STEPS = 6


def parser() -> argparse.ArgumentParser:
    """Describe the command line; the rasters to publish lie in the folder `--rasters`."""
    options = argparse.ArgumentParser(
        prog="python -m processes.publish",
        description="Make a checked release from assessed data: GeoPackage, COG, manifest, report.",
    )
    options.add_argument(
        "--objects", type=Path, required=True, help="assessed objects (GeoPackage)"
    )
    options.add_argument("--trees", type=Path, required=True, help="assessed trees (GeoPackage)")
    options.add_argument("--candidates", type=Path, required=True, help="candidates (GeoPackage)")
    options.add_argument("--items", type=Path, required=True, help="STAC items of the inputs")
    options.add_argument("--area", type=Path, required=True, help="area of the run (GeoJSON)")
    options.add_argument("--missing", type=Path, required=True, help="what ingest did not find")
    options.add_argument("--dataset", default="orchards", help="dataset that gets the release")
    options.add_argument("--period", required=True, help="period of the run (ISO 8601 interval)")
    options.add_argument("--crs", default="EPSG:25832", help="CRS of all layers and rasters")
    options.add_argument("--previous", type=Path, help="folder of the release to build on")
    options.add_argument(
        "--rasters", type=Path, default=Path(), help="folder with ndom-*.tif and sentinel2-*.tif"
    )
    options.add_argument(
        "--max-verdict-change",
        type=float,
        default=0.3,
        help="largest change of a verdict's share against the release before (0..1)",
    )
    options.add_argument(
        "--min-compared",
        type=int,
        default=30,
        help="fewest objects, now and before, for shares to be compared",
    )
    return options


def run(args: argparse.Namespace, progress: Progress) -> None:
    """Make the release in the current folder: ``release/``, ``report.html``, ``summary.json``.

    Raises:
        InputDataError: An input cannot be read, or a check failed (its name is in the title).
    """
    from processes.publish.checks import Checks, check_counts
    from processes.publish.inputs import is_test_bench, read_items
    from processes.publish.layers import write
    from processes.publish.manifest import MANIFEST, read_previous, write_checksums
    from processes.publish.rasters import copy

    previous = read_previous(args.previous, args.dataset, args.crs)
    items = read_items(args.items)
    area = _read_area(args.area, args.crs)
    checks = Checks()
    progress.update(0, STEPS, "steps", "reading")
    merged = _merge(args, previous, area, items, checks)
    progress.update(1, STEPS, "steps", "checking")
    rasters = _check(args, previous, merged, checks)
    checks.require()
    progress.update(2, STEPS, "steps", "writing layers")
    target = Path(".release.partial")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    try:
        for layer, part in merged.items():
            write(target / f"{layer.name}.gpkg", layer, part.frame)
        check_counts(checks, merged, target)
        checks.require()
        progress.update(3, STEPS, "steps", "copying rasters")
        copy(args.rasters, target, rasters)
        progress.update(4, STEPS, "steps", "writing the report")
        manifest = _manifest(args, previous, merged, rasters, area, items, checks)
        manifest["test_bench"] |= is_test_bench(items)
        write_json(target / MANIFEST, manifest)
        _write_reports(args, merged, manifest, area, target)
        progress.update(5, STEPS, "steps", "completing")
        write_checksums(target)
        _put_in_place(target, Path("release"))
    finally:
        shutil.rmtree(target, ignore_errors=True)
    progress.update(STEPS, STEPS, "steps", "done")


def _read_area(path: Path, crs: str) -> Any:
    import shapely

    from processes.vector import read_layer

    frame = read_layer(path)
    if frame.empty or frame.crs is None:
        raise InputDataError("area cannot be used", f"{path.name} is empty or has no CRS")
    area = shapely.union_all(frame.to_crs(crs).geometry.to_numpy())
    if shapely.get_dimensions(area) != 2:
        raise InputDataError("area cannot be used", f"{path.name} holds no polygon")
    return area


def _merge(
    args: argparse.Namespace,
    previous: Previous | None,
    area: Any,
    items: list[dict[str, Any]],
    checks: Checks,
) -> dict[Layer, Merged]:
    from processes.publish.carry_over import merge_candidates, merge_objects, merge_trees
    from processes.publish.checks import check_crs, check_schema
    from processes.publish.inputs import provenance
    from processes.publish.layers import CANDIDATES, LAYERS, OBJECTS, PROVENANCE, TREES, read

    paths = {OBJECTS: args.objects, TREES: args.trees, CANDIDATES: args.candidates}
    new = {layer: read(paths[layer], layer) for layer in LAYERS}
    check_schema(checks, new)
    check_crs(checks, new, args.crs)
    checks.require()
    for frame in new.values():
        frame[PROVENANCE] = provenance(args.period, items)
    old: dict[Layer, Any] = {
        layer: read(previous.folder / f"{layer.name}.gpkg", layer) if previous else None
        for layer in LAYERS
    }
    objects = merge_objects(new[OBJECTS], old[OBJECTS], area)
    return {
        OBJECTS: objects,
        TREES: merge_trees(new[TREES], old[TREES], area, objects),
        CANDIDATES: merge_candidates(new[CANDIDATES], old[CANDIDATES], area),
    }


def _check(
    args: argparse.Namespace,
    previous: Previous | None,
    merged: dict[Layer, Merged],
    checks: Checks,
) -> dict[str, Any]:
    from processes.publish import checks as rules
    from processes.publish.layers import OBJECTS, TREES
    from processes.publish.rasters import COVERAGES, check_rasters, describe

    frames = {layer: part.frame for layer, part in merged.items()}
    rules.check_geometry(checks, frames)
    rules.check_ids(checks, frames)
    rules.check_references(checks, frames[OBJECTS], frames[TREES])
    rules.check_verdicts(checks, merged[OBJECTS], args.max_verdict_change, args.min_compared)
    before = previous.manifest if previous else None
    version = previous.version if previous else None
    described = {
        coverage.name: description
        for coverage in COVERAGES
        if (description := describe(coverage, args.rasters, before, version))
    }
    check_rasters(checks, args.rasters, described, args.crs)
    return described


def _manifest(
    args: argparse.Namespace,
    previous: Previous | None,
    merged: dict[Layer, Merged],
    rasters: dict[str, Any],
    area: Any,
    items: list[dict[str, Any]],
    checks: Checks,
) -> dict[str, Any]:
    import shapely

    from processes.publish.inputs import inputs_of, provenance
    from processes.publish.manifest import (
        FORMAT,
        area_geojson,
        describe_layer,
        extent_of_rasters,
        to_crs84,
    )

    before = previous.manifest if previous else {}
    covered = area
    if before:
        covered = shapely.union_all([area, shapely.from_geojson(_text(before["area"]))])
    collections = {
        layer.name: describe_layer(layer, part, args.crs) for layer, part in merged.items()
    }
    for name, description in rasters.items():
        collections[name] = {**description, **extent_of_rasters(description, args.crs)}
    kept = previous is not None and any(part.carried for part in merged.values())
    version = previous.version if previous else None
    older = [
        {**entry, "release": entry["release"] or version}
        for entry in before.get("inputs", [])
        if kept
    ]
    return {
        "format": FORMAT,
        "dataset": args.dataset,
        "crs": args.crs,
        "test_bench": bool(kept and before.get("test_bench")),
        "period": args.period,
        "provenance": provenance(args.period, items),
        "area": area_geojson(covered),
        "run_area": area_geojson(area),
        "bbox_crs84": to_crs84(list(covered.bounds), args.crs),
        "collections": collections,
        "inputs": inputs_of(items) + older,
        "checks": checks.done,
        "previous": version,
        "carried": {layer.name: part.carried for layer, part in merged.items()},
    }


def _write_reports(
    args: argparse.Namespace,
    merged: dict[Layer, Merged],
    manifest: dict[str, Any],
    area: Any,
    target: Path,
) -> None:
    import shapely

    from processes.publish.inputs import attributions, read_json
    from processes.publish.layers import CANDIDATES, OBJECTS, TREES
    from processes.publish.overview import draw
    from processes.publish.report import read_reasons, render
    from processes.publish.summary import summarise_objects

    objects = merged[OBJECTS].frame.sort_values(OBJECTS.id_field, kind="stable")
    covered = shapely.from_geojson(_text(manifest["area"]))
    missing = read_json(args.missing)
    summary = {
        "dataset": args.dataset,
        "test_bench": manifest["test_bench"],
        "period": args.period,
        "objects": summarise_objects(objects),
        "trees": len(merged[TREES].frame),
        "candidates": len(merged[CANDIDATES].frame),
        "area_km2": round(covered.area / 1e6, 4),
        "run_area_km2": round(area.area / 1e6, 4),
        "inputs": manifest["inputs"],
        "missing": {"missing": missing.get("missing", []), "notes": missing.get("notes", [])},
        "attribution": attributions(manifest["inputs"]),
        "carried": manifest["carried"],
    }
    html = render(
        summary, manifest, objects, draw(objects, covered), summary["attribution"], read_reasons()
    )
    for folder in (target, Path()):
        write_json(folder / "summary.json", summary)
        with complete(folder / "report.html") as partial:
            partial.write_text(html, encoding="utf-8")


def _put_in_place(partial: Path, release: Path) -> None:
    for path in partial.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    if release.exists():
        shutil.rmtree(release)
    partial.replace(release)


def _text(geometry: dict[str, Any]) -> str:
    import json

    return json.dumps(geometry)


if __name__ == "__main__":
    raise SystemExit(run_stage(parser(), run))
