"""What `make run` does before it serves: the chain on both samples, each only without a release.

Shows progress, then the table of every release.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOME = Path(os.environ.get("CDI_HOME") or ROOT / "var").absolute()
LANDSCAPE = HOME / "samples" / "landscape"


def main() -> int:
    """Run both samples and show the releases; returns the exit code."""
    environment = {**os.environ, "CDI_HOME": str(HOME)}
    environment.setdefault("CDI_CONFIG", str(ROOT / "pygeoapi-config.yml"))
    make = [sys.executable, str(ROOT / "samples" / "landscape.py")]
    steps = [
        [*make, "--size", "1", "--dop", "0.5", "--out", str(LANDSCAPE)],
        _chain(ROOT / "samples" / "rural" / "job.json"),
        _chain(LANDSCAPE / "job.json"),
        [*_cdi(), "datasets"],
    ]
    for command in steps:
        code = subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


def _cdi() -> list[str]:
    return [sys.executable, "-m", "ogcapi.cli"]


def _chain(inputs: Path) -> list[str]:
    return [*_cdi(), "run", "orchard-monitoring", "--unless-released", "--inputs", str(inputs)]


if __name__ == "__main__":
    raise SystemExit(main())
