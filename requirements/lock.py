"""Compile the ranges of setup.py into hashed requirement files for both supported Pythons.

Uses uv, which resolves for another Python than the running one.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).with_name("uv")

for version in ("3.11", "3.13"):
    target = ROOT / "requirements" / f"py{version.replace('.', '')}.txt"
    subprocess.run(
        [
            str(UV) if UV.exists() else "uv",
            *("pip", "compile", "--quiet", "--generate-hashes", "--no-emit-index-url"),
            *("--no-emit-find-links", "--python-version", version, "--python-platform", "linux"),
            *("--extra", "dev", "--extra", "postgres", "--no-header"),
            *("--output-file", str(target), str(ROOT / "setup.py")),
        ],
        check=True,
        cwd=ROOT,
    )
