"""Makes the test bench `landscape`: a made-up farming landscape with its truth.

Real data come without a truth, and a real orchard stays where it is; this bench knows every tree
and holds the cases that count: orchards that are there, were cleared, built over or overgrown.
Equal seed, size and options give equal bytes. A finished bench is kept until any of them, or one
of these scripts, changes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

PARTS = Path(__file__).with_name("landscape_parts")
STAMP = "stamp.json"


def main(argv: list[str] | None = None) -> int:
    """Make the landscape, or find that it is there already."""
    options = parser().parse_args(argv)
    out: Path = options.out
    stamp = _stamp(options)
    if _read_stamp(out) == stamp:
        print(f"TEST BENCH landscape is up to date: {out}")
        return 0
    if out.exists() and any(out.iterdir()) and _read_stamp(out) is None:
        print(f"{out} holds other files; name an empty or new folder with --out", file=sys.stderr)
        return 2
    started = time.monotonic()
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _make(options, partial)
        (partial / STAMP).write_text(json.dumps(stamp, indent=1, sort_keys=True) + "\n")
        shutil.rmtree(out, ignore_errors=True)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    print(f"TEST BENCH landscape made in {time.monotonic() - started:.1f} s: {out}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = result.add_argument
    add("--out", type=Path, required=True, help="folder to make; replaced if it is an older bench")
    add("--size", type=float, default=1.0, help="edge of the area, km (default 1)")
    add("--dop", type=float, default=0.5, help="pixel of the orthophoto, m (default 0.5)")
    add("--seed", type=int, default=1, help="another seed, another landscape (default 1)")
    add("--origin", default="340,5720", help="south-west corner, km (default 340,5720)")
    add("--tile-size", type=float, default=1000.0, help="edge of the tile grid, m (default 1000)")
    add(
        "--objects-share",
        type=float,
        default=0.065,
        help="share of the area that inventory objects cover (default 0.065)",
    )
    add("--dop-format", choices=("jp2", "tif"), default="jp2", help="default jp2")
    add(
        "--dop-tiles",
        choices=("auto", "all", "objects"),
        default="auto",
        help="write every orthophoto tile or those that inventory objects touch; "
        "auto: all from 0.2 m on, else objects",
    )
    add("--ndom-shift", default="0,0", help="move the nDOM against the image, m (default 0,0)")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="tiles made at a time")
    return result


def _make(options: argparse.Namespace, folder: Path) -> None:
    sys.path.insert(0, str(PARTS.parent))
    from landscape_parts.bench import Request, make

    make(
        Request(
            seed=options.seed,
            size=options.size * 1000,
            origin=_pair(options.origin, 1000),
            tile_size=options.tile_size,
            objects_share=options.objects_share,
            resolution=options.dop,
            dop_format=options.dop_format,
            dop_tiles=options.dop_tiles,
            shift=_pair(options.ndom_shift, 1),
        ),
        folder,
        max(1, options.jobs),
    )


def _pair(text: str, scale: float) -> tuple[float, float]:
    first, second = text.split(",")
    return float(first) * scale, float(second) * scale


def _stamp(options: argparse.Namespace) -> dict[str, Any]:
    """What decides the content: all options but the place and the number of processes."""
    digest = hashlib.sha256()
    for script in [Path(__file__), *sorted(PARTS.glob("*.py"))]:
        digest.update(script.name.encode() + b"\0" + script.read_bytes())
    chosen = {key: value for key, value in vars(options).items() if key not in ("out", "jobs")}
    return {"title": "TEST BENCH landscape", "options": chosen, "scripts": digest.hexdigest()}


def _read_stamp(folder: Path) -> dict[str, Any] | None:
    try:
        stamp: dict[str, Any] = json.loads((folder / STAMP).read_text())
    except (OSError, ValueError):
        return None
    return stamp


if __name__ == "__main__":
    raise SystemExit(main())
