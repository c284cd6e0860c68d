"""What the chain costs on the synthetic test bench, step by step, with cwltool beside it.

    python benchmarks/stages.py --size 2 --dop 0.1 --objects-share 0.02

Makes the landscape (not timed), runs `orchard-monitoring` through our controller and through the
CWL reference implementation in turn; prints wall time, core-seconds and peak memory per step, and
the sum again without `ingest`, whose cost is mostly copying and checking files.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from machine import machine
from rich.console import Console
from rich.table import Table

from k8s_manager import acceptance
from k8s_manager.backends.choice import chosen_backend
from k8s_manager.controller import Controller
from k8s_manager.job_files import resolved_sources
from k8s_manager.registry import Registry
from k8s_manager.settings import Settings, read_config
from k8s_manager.store import Store

ROOT = Path(__file__).parent.parent
OUT = Console(width=100)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    arguments = _parser().parse_args()
    home = arguments.home.absolute()
    landscape = home / "samples" / "landscape"
    make = [sys.executable, str(ROOT / "samples" / "landscape.py"), "--out", str(landscape)]
    for name in ("size", "dop", "objects_share"):
        make += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    subprocess.run(make, check=True)
    area = float(arguments.size) ** 2
    OUT.print(
        f"{arguments.size} x {arguments.size} km, orthophoto cells of {arguments.dop} m, "
        f"objects on {arguments.objects_share:.0%} of the area; {machine()}"
    )
    for number in range(arguments.runs):
        seconds, attempts = _ours(home, landscape, number)
        _show_steps(attempts, area, seconds)
        if not arguments.without_peer:
            wall, cpu = _cwltool(home, landscape)
            OUT.print(f"cwltool, same files: {wall:.1f} s wall, {cpu / area:.1f} core-s per km²")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=float, default=2, help="side of the landscape, km")
    parser.add_argument("--dop", type=float, default=0.1, help="cells of the orthophoto, metres")
    parser.add_argument("--objects-share", type=float, default=0.02, help="0 to 1")
    parser.add_argument("--runs", type=int, default=1, help="how often each engine runs")
    parser.add_argument("--without-peer", action="store_true", help="leave cwltool out")
    parser.add_argument("--home", type=Path, default=ROOT / "var" / "bench", help="working folder")
    return parser


def _ours(home: Path, landscape: Path, number: int) -> tuple[float, list[dict[str, Any]]]:
    """Run the chain in a fresh store and workspace; returns wall seconds and all attempts."""
    run = home / f"run-{number}"
    shutil.rmtree(run, ignore_errors=True)
    settings = _settings(home, run)
    store = Store(settings.database_url)
    store.migrate()
    process = Registry.from_config(read_config(settings.config), settings).get("orchard-monitoring")
    body = json.loads((landscape / "job.json").read_text(encoding="utf-8"))
    started = time.monotonic()
    job = store.create_job(acceptance.accept(settings, process, body, owner="local", trusted=True))
    job = Controller(settings, store, chosen_backend(settings)).run_until(job.id)
    seconds = time.monotonic() - started
    if job.status != "successful":
        raise SystemExit(f"the chain failed: {job.error}")
    return seconds, [
        {"step": attempt.step, **(attempt.document or {})} for attempt in store.attempts(job.id)
    ]


def _settings(home: Path, run: Path) -> Settings:
    loaded = Settings.load(env={"CDI_HOME": str(home)}, config=ROOT / "pygeoapi-config.yml")
    run.mkdir(parents=True)
    return replace(loaded, database_url=f"sqlite:///{run / 'cdi.db'}", workspace=run / "workspace")


def _cwltool(home: Path, landscape: Path) -> tuple[float, float]:
    """Run the same chain under cwltool; returns wall seconds and core-seconds."""
    folder = home / "cwltool"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    settings = Settings.load(env={"CDI_HOME": str(home)}, config=ROOT / "pygeoapi-config.yml")
    (folder / "sources.yml").write_text(yaml.safe_dump(resolved_sources(settings)))
    inputs = json.loads((landscape / "job.json").read_text(encoding="utf-8"))["inputs"]
    (folder / "inventory.geojson").write_text(json.dumps(inputs["inventory"]["value"]))
    inputs["inventory"] = {"class": "File", "path": "inventory.geojson"}
    inputs["source_config"] = {"class": "File", "path": "sources.yml"}
    (folder / "job.json").write_text(json.dumps(inputs))
    binaries = Path(sys.executable).parent
    chain = ROOT / "processes" / "orchard_monitoring" / "process.cwl"
    command = [
        *(str(binaries / "cwltool"), "--quiet", "--parallel", "--no-container"),
        *("--outdir", "out", str(chain), "job.json"),
    ]
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - started, cpu


def _show_steps(attempts: list[dict[str, Any]], area: float, seconds: float) -> None:
    table = Table("Step", "Attempts", "Core-s", "Core-s per km²", "Peak memory MB", box=None)
    steps: dict[str, float] = {}
    for step in dict.fromkeys(attempt["step"] for attempt in attempts):
        mine = [attempt for attempt in attempts if attempt["step"] == step]
        cpu = sum(attempt["cpu_s"] for attempt in mine)
        peak = max(attempt["ram_peak_mb"] for attempt in mine)
        table.add_row(step, str(len(mine)), f"{cpu:.1f}", f"{cpu / area:.2f}", f"{peak:.0f}")
        steps[step] = cpu
    total = sum(steps.values())
    for name, cpu in (("all", total), ("without ingest", total - steps.get("ingest", 0.0))):
        table.add_row(name, "", f"{cpu:.1f}", f"{cpu / area:.2f}", "")
    OUT.print(table)
    OUT.print(f"wall {seconds:.1f} s, {seconds / area:.2f} s per km²")


if __name__ == "__main__":
    raise SystemExit(main())
