"""Find the tree crowns and raised planes of one batch in its nDOM.

Writes ``crowns-<id>.gpkg`` (layers crowns and structures) and ``ndom-<id>.tif`` (the core).
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import os
from pathlib import Path

from processes.batch_arguments import add_batch, batch_of
from processes.stage import Progress, run_stage

OPTIONS = [
    ("min-height", 2.5, "lowest tree height, metres"),
    ("smoothing", 0.5, "standard deviation of the smoothing, metres"),
    ("window-base", 3.09632, "crown width expected at height 0, metres"),
    ("window-slope", 0.00895, "growth of the expected crown width with height², 1/metre"),
    ("max-window", 8.0, "largest search window, metres"),
    ("merge-distance", 3.0, "tops nearer than this are one tree, metres"),
    ("saddle-distance", 5.0, "tops nearer than this need a saddle between them, metres"),
    ("saddle-depth", 0.1, "depth of a saddle, share of the lower top's height"),
    ("max-crown-diameter", 18.0, "largest crown, metres"),
    ("min-crown-diameter", 1.5, "smallest crown, metres"),
    ("exclusion", 0.3, "lowest part of a crown, share of its height"),
    ("roof-window", 3.0, "side of the square in which a plane is fitted, metres"),
    ("roof-roughness", 0.15, "largest mean deviation from a plane, metres"),
    ("max-flatness", 0.6, "largest planar share of a crown"),
    ("min-structure-height", 2.5, "lowest structure, metres"),
    ("min-structure-area", 20.0, "smallest structure, square metres"),
]


def parser() -> argparse.ArgumentParser:
    """Describe the command line; names and defaults are those of ``process.cwl``."""
    p = argparse.ArgumentParser(prog="python -m processes.detect", description=__doc__)
    add_batch(p)
    for name, default, text in OPTIONS:
        p.add_argument(f"--{name}", type=float, default=default, help=f"{text} (%(default)s)")
    return p


def run(args: argparse.Namespace, progress: Progress) -> None:
    """Write crowns and surface of the batch into the current folder."""
    os.environ.setdefault("GDAL_CACHEMAX", "256")  # MB; GDAL's own default follows the machine
    import cv2

    from processes.detect.batch import detect, join
    from processes.detect.layers import crown_layer, structure_layer
    from processes.detect.surface import Surface
    from processes.detect.thresholds import Reach, Thresholds
    from processes.vector import write_layers

    cv2.setNumThreads(1)  # a step is granted one core
    _keep_freed_memory()
    batch = batch_of(args)
    names = [field.name for field in dataclasses.fields(Thresholds)]
    surface = Surface.open(args.ndom, args.items, batch.crs)
    reach = Reach(Thresholds(**{name: getattr(args, name) for name in names}), surface.cell)
    reach.check(batch.buffer)
    surface.publish(Path(f"ndom-{batch.id}.tif"), batch)
    crowns, structures = [], []

    def report(done: int, total: int) -> None:
        progress.update(done + 1, total + 2, "blocks", "crowns")

    report(0, 0)
    for found, raised in detect(surface.read, batch.core, reach, report=report):
        crowns.append(found)
        structures.append(raised)
    trees, roofs = join(crowns), join(structures)
    write_layers(
        Path(f"crowns-{batch.id}.gpkg"),
        {
            "crowns": crown_layer(trees, surface.dates_at(trees.x, trees.y), batch.crs),
            "structures": structure_layer(roofs, batch.crs),
        },
    )
    progress.update(len(crowns) + 2, len(crowns) + 2, "blocks", "crowns written")


def _keep_freed_memory() -> None:
    """Let the C library keep freed memory: every block needs as many arrays of the same size.

    Otherwise each large array is mapped and cleared anew, a sixth of the stage's time. The peak is
    the same. Without glibc nothing happens.
    """
    trim_threshold, mmap_max = -1, -4  # <malloc.h>
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


if __name__ == "__main__":
    raise SystemExit(run_stage(parser(), run))
