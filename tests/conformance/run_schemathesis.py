"""Point schemathesis at a running server with the echo configuration; ends with its exit code.

What is accepted of what it finds stands in schemathesis.toml beside this file, each entry with its
reason. Arguments are handed on, such as ``--max-examples 200`` or ``--phases stateful``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conformance.conftest import CONFIG
from tests.serving import serving

SETTINGS = Path(__file__).with_name("schemathesis.toml")


def main() -> int:
    program = Path(sys.executable).with_name("schemathesis")
    with tempfile.TemporaryDirectory() as home, serving(CONFIG, Path(home) / "var") as server:
        command = [program, "--config-file", SETTINGS.resolve(), "run", f"{server.url}/openapi"]
        return subprocess.run([*command, *sys.argv[1:]], cwd=home, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
