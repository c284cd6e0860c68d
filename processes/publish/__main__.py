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
    from processes.publish.checks import Checks
    from processes.publish.layers import Layer
    from processes.publish.manifest import Previous
    from processes.publish.parts import Source
    from processes.publish.written import Written

STEPS = 6
CACHE_MB = 64  # of decoded raster blocks, which are looked at once


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
    from processes.publish.manifest import MANIFEST, read_previous, write_checksums
    from processes.publish.parts import add_indexes
    from processes.publish.rasters import copy

    previous = read_previous(args.previous, args.dataset, args.crs)
    items = read_items(args.items)
    area = _read_area(args.area, args.crs)
    checks = Checks()
    progress.update(0, STEPS, "steps", "reading")
    sources = _sources(args, previous, items, checks)
    progress.update(1, STEPS, "steps", "writing layers")
    target = Path(".release.partial")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    try:
        layers = _write_layers(sources, area, target)
        progress.update(2, STEPS, "steps", "checking")
        rasters = _check(args, previous, layers, checks)
        checks.require()
        for layer, written in layers.items():
            add_indexes(target / written.source.file, layer, written.source.kinds)
        counts = {layer: (written.own, written.carried) for layer, written in layers.items()}
        check_counts(checks, counts, target)
        checks.require()
        progress.update(3, STEPS, "steps", "copying rasters")
        copy(args.rasters, target, rasters)
        progress.update(4, STEPS, "steps", "writing the report")
        manifest = _manifest(args, previous, layers, rasters, area, items, checks)
        manifest["test_bench"] |= is_test_bench(items)
        write_json(target / MANIFEST, manifest)
        _write_reports(args, layers, manifest, area, target)
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


def _sources(
    args: argparse.Namespace,
    previous: Previous | None,
    items: list[dict[str, Any]],
    checks: Checks,
) -> dict[Layer, Source]:
    from processes.publish.checks import check_crs, check_schema
    from processes.publish.inputs import provenance
    from processes.publish.layers import CANDIDATES, LAYERS, OBJECTS, TREES
    from processes.publish.parts import Source, read_head

    paths = {OBJECTS: args.objects, TREES: args.trees, CANDIDATES: args.candidates}
    heads = {layer: read_head(paths[layer], layer) for layer in LAYERS}
    check_schema(checks, heads)
    check_crs(checks, heads, args.crs)
    checks.require()
    made_of = provenance(args.period, items)
    return {
        layer: Source.of(
            layer,
            paths[layer],
            heads[layer],
            previous.folder / f"{layer.name}.gpkg" if previous else None,
            made_of,
        )
        for layer in LAYERS
    }


def _write_layers(sources: dict[Layer, Source], area: Any, target: Path) -> dict[Layer, Written]:
    from processes.publish.carry_over import merge_candidates, merge_objects, merge_trees
    from processes.publish.layers import CANDIDATES, OBJECTS, TREES
    from processes.publish.written import write_layer

    objects = write_layer(sources[OBJECTS], lambda new, old: merge_objects(new, old, area), target)
    carried = set(objects.merged().carried["object_id"])
    trees = write_layer(
        sources[TREES], lambda new, old: merge_trees(new, old, area, carried), target
    )
    candidates = write_layer(
        sources[CANDIDATES], lambda new, old: merge_candidates(new, old, area), target
    )
    return {OBJECTS: objects, TREES: trees, CANDIDATES: candidates}


def _check(
    args: argparse.Namespace,
    previous: Previous | None,
    layers: dict[Layer, Written],
    checks: Checks,
) -> dict[str, Any]:
    import rasterio

    from processes.publish import checks as rules
    from processes.publish.layers import OBJECTS, TREES
    from processes.publish.rasters import COVERAGES, check_rasters, describe

    faults = {layer: written.faults for layer, written in layers.items()}
    rules.check_geometry(checks, faults)
    rules.check_ids(checks, faults)
    objects = layers[OBJECTS].merged()
    rules.check_references(checks, objects.frame, layers[TREES].named)
    rules.check_verdicts(checks, objects, args.max_verdict_change, args.min_compared)
    before = previous.manifest if previous else None
    version = previous.version if previous else None
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB):
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
    layers: dict[Layer, Written],
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
        layer.name: describe_layer(written, args.crs) for layer, written in layers.items()
    }
    for name, description in rasters.items():
        collections[name] = {**description, **extent_of_rasters(description, args.crs)}
    kept = previous is not None and any(written.carried for written in layers.values())
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
        "carried": {layer.name: written.carried for layer, written in layers.items()},
    }


def _write_reports(
    args: argparse.Namespace,
    layers: dict[Layer, Written],
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

    objects = layers[OBJECTS].merged().frame.sort_values(OBJECTS.id_field, kind="stable")
    covered = shapely.from_geojson(_text(manifest["area"]))
    missing = read_json(args.missing)
    summary = {
        "dataset": args.dataset,
        "test_bench": manifest["test_bench"],
        "period": args.period,
        "objects": summarise_objects(objects),
        "trees": layers[TREES].count,
        "candidates": layers[CANDIDATES].count,
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
