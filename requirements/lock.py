"""Compile the ranges of setup.py into hashed requirement files.

For development, on both supported Pythons: py311.txt and py313.txt. For the images, parts of
py313.txt with the same versions: stage313.txt (what steps import), server313.txt (the whole
service) and build313.txt (what builds the package and is in no image).

Uses uv, which resolves for another Python than the running one.
"""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SETUP = ROOT / "setup.py"
UV = Path(sys.executable).with_name("uv")
EXTRAS = ("--extra", "postgres", "--extra", "kubernetes")
IMAGES = ("--no-annotate", "--constraint", "requirements/py313.txt")


def main() -> None:
    """Write all requirement files; the images' ones last, as parts of py313.txt."""
    for version in ("3.11", "3.13"):
        target = f"py{version.replace('.', '')}.txt"
        compile_(target, version, str(SETUP), *EXTRAS, "--extra", "dev")
    compile_("server313.txt", "3.13", str(SETUP), *EXTRAS, *IMAGES)
    for name in ("stage", "build"):
        ranges = "\n".join(needs(f"{name.upper()}_NEEDS"))
        compile_(f"{name}313.txt", "3.13", "-", *IMAGES, given=ranges)


def needs(name: str) -> list[str]:
    """Return a list of ranges that setup.py writes down under `name`."""
    for statement in ast.parse(SETUP.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name:
            return list(ast.literal_eval(statement.value))
    raise SystemExit(f"{SETUP}: expected a list named {name}")


def compile_(target: str, version: str, *arguments: str, given: str | None = None) -> None:
    """Resolve for Linux and one Python version; an existing file's versions are kept."""
    subprocess.run(
        [
            str(UV) if UV.exists() else "uv",
            *("pip", "compile", "--quiet", "--generate-hashes", "--no-emit-index-url"),
            *("--no-emit-find-links", "--no-header"),
            *("--python-version", version, "--python-platform", "linux"),
            *("--output-file", str(ROOT / "requirements" / target), *arguments),
        ],
        check=True,
        cwd=ROOT,
        input=given,
        text=True,
    )


if __name__ == "__main__":
    main()
