"""Let the CWL reference implementation validate every process file: an opinion that is not ours."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> int:
    """Validate all process files in one go each; returns the number of invalid ones."""
    files = sorted((ROOT / "processes").glob("*/process.cwl"))
    cwltool = str(Path(sys.executable).with_name("cwltool"))
    failed = 0
    for file in files:
        command = [cwltool, "--validate", "--quiet", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or "warning" in done.stderr.lower():
            failed += 1
            sys.stderr.write(f"{file.relative_to(ROOT)}:\n{done.stdout}{done.stderr}\n")
    sys.stdout.write(f"{len(files) - failed} of {len(files)} process files are valid CWL\n")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
