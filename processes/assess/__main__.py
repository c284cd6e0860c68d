"""Command line of the stage: ``python -m processes.assess --inventory objects.gpkg ...``."""

from __future__ import annotations

import argparse
from pathlib import Path

from processes.assess.thresholds import add_options
from processes.stage import Progress, run_stage


def parser() -> argparse.ArgumentParser:
    """Return the options; the names are those of the inputs in ``process.cwl``."""
    options = argparse.ArgumentParser(
        prog="python -m processes.assess",
        description="Judge each inventory object with reasons, and look for orchards that the "
        "inventory lacks. Writes assessed-objects.gpkg, assessed-trees.gpkg and "
        "assessed-candidates.gpkg into the current folder.",
    )
    options.add_argument("--inventory", type=Path, required=True, help="objects (GeoPackage)")
    options.add_argument("--area", type=Path, required=True, help="area of the run (GeoJSON)")
    options.add_argument("--items", type=Path, required=True, help="STAC items of the inputs")
    options.add_argument("--period", required=True, help="ISO 8601 interval, date/date")
    options.add_argument(
        "--batches", type=Path, default=Path(), help="folder with crowns-*.gpkg, ndom-*.tif, ..."
    )
    options.add_argument(
        "--decisions", type=Path, help="people's decisions: object_id, verdict_human, decided"
    )
    options.add_argument(
        "--inventory-date", help="survey date of objects that have none of their own"
    )
    add_options(options)
    return options


def run(args: argparse.Namespace, progress: Progress) -> None:
    """Run the stage; the heavy modules load here, so that --help is quick."""
    from processes.assess.assessment import assess

    assess(args, progress)


if __name__ == "__main__":
    raise SystemExit(run_stage(parser(), run))
