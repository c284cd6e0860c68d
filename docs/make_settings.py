"""Write docs/settings.md from the settings' own docstrings, so that the two cannot differ.

python docs/make_settings.py            # writes
python docs/make_settings.py --check    # says whether it is up to date
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SETTINGS = ROOT / "k8s_manager" / "settings.py"
KUBERNETES = ROOT / "k8s_manager" / "kubernetes_settings.py"
IDENTITY = ROOT / "k8s_manager" / "identity_settings.py"
DATASETS = ROOT / "k8s_manager" / "dataset_settings.py"
OUTSIDE = ROOT / "k8s_manager" / "outside_settings.py"
TARGET = ROOT / "docs" / "settings.md"
HEAD = """# Settings

Environment beats file. In `pygeoapi-config.yml` all settings of ours stand under `server.manager`,
by the name in the first column (`connection` for the database, `output_dir` for the workspace);
there `${VAR:-default}` takes a value from the environment. This page is made from
`k8s_manager/settings.py` by `python docs/make_settings.py`.

"""
TABLE = """| name | environment | meaning, unit, default, why |
|---|---|---|
"""
DATASETS_HEAD = """
## Datasets

What releases are published to ([releases](releases.md)); in the file they stand under
`server.manager.datasets`, each by its name (lower case letters, digits, hyphens). `crs` and
`writers` are needed.

"""
DATASETS_TABLE = """| name | meaning |
|---|---|
"""
IDENTITY_HEAD = """
## Identity

Who is asked who they are ([who is asking](identity.md)); in the file they stand under
`server.manager.identity`.

"""
KUBERNETES_HEAD = """
## Kubernetes

For `CDI_BACKEND=kubernetes`; in the file they stand under `server.manager.kubernetes`. In the
environment lists are written `a,b` and maps `name=value,name=value`.

"""
OUTSIDE_HEAD = """
## Other hosts

Whom the server asks on a client's behalf ([other hosts](other-hosts.md)); in the file they stand
under `server.manager.outside`. Times are in seconds.

"""
TAIL = """
Given to the programs of steps: `CDI_PROGRESS` (file for progress lines), `CDI_CACHE` (input
cache; only steps with network access), `PYTHONSAFEPATH=1`. `CDI_DEBUG=1` makes a stage print the
trace of an internal error. Tests read `CDI_TEST_DATA` (folder with recordings of remote services).
"""


def main() -> int:
    """Write or check the page; returns the exit code."""
    text = HEAD + TABLE + "".join(_rows(SETTINGS, "Settings", "CDI_"))
    text += DATASETS_HEAD + DATASETS_TABLE
    text += "".join(f"| `{name}` | {text} |\n" for name, text, _ in _fields(DATASETS, "Dataset"))
    text += IDENTITY_HEAD + TABLE + "".join(_rows(IDENTITY, "IdentitySettings", "CDI_IDENTITY_"))
    text += OUTSIDE_HEAD + TABLE + "".join(_rows(OUTSIDE, "OutsideSettings", "CDI_OUTSIDE_"))
    text += KUBERNETES_HEAD + TABLE
    text += "".join(_rows(KUBERNETES, "KubernetesSettings", "CDI_KUBERNETES_")) + TAIL
    if "--check" in sys.argv:
        return int(TARGET.read_text(encoding="utf-8") != text)
    TARGET.write_text(text, encoding="utf-8")
    return 0


def _rows(source: Path, class_: str, prefix: str) -> list[str]:
    rows = []
    for name, text, default in _fields(source, class_):
        variable, _, meaning = text.partition(": ")
        if not variable.startswith("CDI_"):
            section = name in ("datasets", "identity", "kubernetes", "outside")
            meaning, variable = text, "-" if section else prefix + name.upper()
        shown = f" Default in code: `{default}`." if default and "field(" not in default else ""
        rows.append(f"| `{name}` | {variable} | {meaning}{shown} |\n")
    return rows


def _fields(source: Path, class_: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, docstring and default of each documented field of a class."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    settings = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_
    )
    for field, docstring in zip(settings.body, settings.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(docstring, ast.Expr):
            name = field.target.id  # type: ignore[union-attr]
            text = " ".join(str(docstring.value.value).split())  # type: ignore[attr-defined]
            yield name, text, ast.unparse(field.value) if field.value else ""


if __name__ == "__main__":
    raise SystemExit(main())
