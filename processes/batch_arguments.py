"""The part of a command line that names a batch: the same for every stage that is scattered."""

from __future__ import annotations

import argparse
from pathlib import Path

from processes.grid import Batch, Bounds


def add_batch(parser: argparse.ArgumentParser, *, items_needed: bool = False) -> None:
    """Add the fields of a batch record as options.

    Args:
        parser: The stage's command line.
        items_needed: Whether the stage does nothing without the STAC items of the files.
    """
    batch = parser.add_argument_group("batch", "of its files a stage reads those that it needs")
    batch.add_argument("--batch-id", required=True, help="names the outputs")
    batch.add_argument("--core", required=True, type=Bounds.parse, help="xmin,ymin,xmax,ymax")
    batch.add_argument("--buffer", type=float, default=30.0, help="metres around the core")
    batch.add_argument("--crs", required=True, help="CRS of core and results, e.g. EPSG:25832")
    for name, text in (
        ("ndom", "surface model tile"),
        ("dop", "orthophoto tile"),
        ("s2", "Sentinel-2 band file"),
    ):
        batch.add_argument(f"--{name}", type=Path, action="append", default=[], help=text)
    batch.add_argument("--items", type=Path, required=items_needed, help="STAC items of the files")


def batch_of(args: argparse.Namespace) -> Batch:
    """Return the batch that a command line names."""
    return Batch(args.batch_id, args.core, args.buffer, args.crs)
