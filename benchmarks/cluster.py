"""What running a job in a cluster costs beyond the cluster itself, with raw Jobs beside it.

    python benchmarks/cluster.py                       # everything, about a quarter of an hour
    python benchmarks/cluster.py --only first-line --pairs 5
    python benchmarks/cluster.py --only scatter --scatters 1 --indexes 1000     # half an hour

Needs KUBECONFIG, and in CDI_STAGE_IMAGE an image with the step runner; the cluster's one node is
this machine. Makes a namespace of its own and deletes it. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import cluster_latency
import cluster_queue
import cluster_records
from cluster_place import Place, place
from cluster_server import served
from figures import OUT, Figure, show, write
from machine import machine
from raw_jobs import RawClient

PARTS = ("first-line", "chain", "scatter", "calls", "queue", "records")


def main() -> int:
    """Run what was chosen; the exit code is 1 when a demand is not met."""
    options = _parser().parse_args()
    image = os.environ.get("CDI_STAGE_IMAGE")
    if not image:
        sys.exit("CDI_STAGE_IMAGE is not set; expected an image with the step runner, by digest")
    before = machine()
    OUT.print(before)
    figures: list[Figure] = []
    with place(image, options.folder) as here:
        for name in options.only or PARTS:
            OUT.print(f"{name} ({machine()})")
            found = _measure(name, here, options)
            show(found)
            figures += found
    show(figures)
    if options.json:
        write(figures, before, options.json)
    return int(any(item.met is False for item in figures))


def _measure(name: str, here: Place, options: argparse.Namespace) -> list[Figure]:
    if name == "calls":
        return cluster_queue.api_calls(here, options.pairs)
    if name == "queue":
        return cluster_queue.queue(here, options.jobs)
    if name == "records":
        return cluster_records.records(here, options.records)
    with served(here, name, database_url=options.database) as server:
        raw = RawClient(here)
        if name == "first-line":
            return cluster_latency.first_line(server, raw, options.pairs)
        if name == "chain":
            return cluster_latency.chain(server, raw, options.chains)
        return cluster_latency.scatter(server, raw, options.scatters, options.indexes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=PARTS, help="measure only this; again")
    parser.add_argument("--pairs", type=int, default=20, help="pairs of single steps")
    parser.add_argument("--chains", type=int, default=10, help="chains of three steps")
    parser.add_argument("--scatters", type=int, default=10, help="pairs of scattered steps")
    parser.add_argument("--indexes", type=int, default=10, help="indexes of a scattered step")
    parser.add_argument("--jobs", type=int, default=1000, help="jobs submitted at once, twice")
    parser.add_argument("--records", type=int, default=100_000, help="job records in the store")
    parser.add_argument("--database", default="", help="job store; default an SQLite file")
    parser.add_argument("--folder", type=Path, help="where files lie; default a temporary folder")
    parser.add_argument("--json", type=Path, help="write all values to this file")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
