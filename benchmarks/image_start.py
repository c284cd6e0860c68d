r"""How long the stage image takes from the start of its container's process to our first lines.

Runs inside the image, which needs nothing for it:

    docker run --rm -i cdi/stage:0.1.0 python3 - < benchmarks/image_start.py
    kubectl run start --rm -i --restart=Never --image=$IMAGE --command -- \
        python3 - < benchmarks/image_start.py
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

RUNS = 15
RUNNER = ("python3", "-I", "/cdi/step_runner.py")
STAGES = ("ingest", "preprocess", "detect", "assess", "publish")


def main() -> None:
    """Print medians and the slowest of all runs, in milliseconds."""
    report("interpreter alone", lambda: timed("python3", "-I", "-c", "pass"))
    report("step runner, first line to last", lambda: timed(*RUNNER, "--help"))
    report("step runner to the first line of its program", to_first_line)
    for stage in STAGES:
        report(f"{stage} --help", partial(timed, "python", "-m", f"processes.{stage}", "--help"))


def report(name: str, measure: Callable[[], float]) -> None:
    """Measure a few times and print a line."""
    measure()  # files that were never read come from disk
    times = sorted(1000 * measure() for _ in range(RUNS))
    sys.stdout.write(f"{name:46} {statistics.median(times):5.0f} {times[-1]:5.0f}\n")


def timed(*command: str) -> float:
    """Return the seconds that a command takes."""
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def to_first_line() -> float:
    """Run a round of one index; its program tells when it came to its first line."""
    with tempfile.TemporaryDirectory() as folder:
        step = Path(folder, "jobs", "j", "s")
        step.mkdir(parents=True)
        code = "import time; print(time.monotonic())"
        entry = {"index": 0, "argv": ["python", "-c", code], "env": {}, "inputs": [], "outputs": {}}
        task = {
            "version": 1, "job": "j", "step": "s", "round": 1, "epoch": 1, "scattered": False,
            "time_limit_s": 60, "ram_mb": 256, "log_limit_bytes": 1000, "indexes": [entry],
        }  # fmt: skip
        (step / "task-r1.json").write_text(json.dumps(task))
        start = time.monotonic()
        command = [*RUNNER, "--workspace", folder, "--task", str(step / "task-r1.json")]
        subprocess.run([*command, "--attempt", "a"], check=True, stdout=subprocess.DEVNULL)
        return float((step / "a" / "stdout").read_text()) - start


if __name__ == "__main__":
    main()
