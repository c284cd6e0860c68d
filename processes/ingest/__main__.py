"""Command line of the stage `ingest`: from sources chosen by name to local files and batches."""

from __future__ import annotations

import argparse
from pathlib import Path

from processes.stage import Progress, run_stage


def parser() -> argparse.ArgumentParser:
    """Return the command line; defaults equal those of process.cwl."""
    program = argparse.ArgumentParser(
        prog="python -m processes.ingest",
        description="Find and fetch what a run needs: nDOM tiles that touch the area, orthophotos "
        "where objects of the inventory lie, Sentinel-2 scenes of the period. Everything is "
        "checked; what could not be had is named in missing.json.",
        epilog="Writes items.json, objects.gpkg, area.geojson, missing.json, items-<batch>.json "
        "and cwl.output.json (with the list of batches) into the current folder. Files go to the "
        "cache that CDI_CACHE names, else to ./data. Exit codes: 0 done, 65 the input is at fault, "
        "75 try again later.",
    )
    where = program.add_argument_group("area: exactly one of")
    where.add_argument("--area", type=Path, metavar="FILE", help="GeoJSON polygon (lon/lat)")
    where.add_argument("--bbox", metavar="X,Y,X,Y", help="rectangle; write --bbox=... if negative")
    where.add_argument(
        "--bbox-crs", default="OGC:CRS84", metavar="CRS", help="CRS of --bbox (default: lon/lat)"
    )
    where.add_argument(
        "--district", metavar="AGS", help="official key of a district or municipality"
    )
    what = program.add_argument_group("what")
    what.add_argument("--period", required=True, metavar="START/END", help="ISO 8601 interval")
    what.add_argument("--inventory", required=True, type=Path, help="GeoPackage or GeoJSON")
    what.add_argument(
        "--sources", required=True, nargs="+", metavar="NAME", help="earlier ones win per tile"
    )
    what.add_argument(
        "--source-config", type=Path, metavar="FILE", help="source file (default: CDI_SOURCES)"
    )
    how = program.add_argument_group("how")
    how.add_argument("--crs", default="EPSG:25832", help="CRS of the run, in metres (%(default)s)")
    how.add_argument(
        "--batch-size",
        type=int,
        default=0,
        metavar="N",
        help="tiles along one side of a batch; 0: 1 below 25 tiles, else 4 (%(default)s)",
    )
    how.add_argument(
        "--buffer",
        type=float,
        default=30.0,
        metavar="M",
        help="metres read around a batch, so that crowns at its edge are whole (%(default)s)",
    )
    how.add_argument(
        "--max-cloud",
        type=float,
        default=60.0,
        metavar="PERCENT",
        help="scenes with more clouds are left out (%(default)s)",
    )
    how.add_argument(
        "--verify-cache", action="store_true", help="read and hash every cached file again"
    )
    return program


def run(args: argparse.Namespace, progress: Progress) -> None:
    """Run the stage; heavy modules are imported here, so that --help is quick."""
    from processes.ingest.ingestion import ingest

    ingest(args, progress)


if __name__ == "__main__":
    raise SystemExit(run_stage(parser(), run))
