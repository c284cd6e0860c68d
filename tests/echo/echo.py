"""The echo process: gives back what it was given, one output for each kind of input.

Ends with 65 when the text is ``fail``, so that clients can be tried on a job that fails.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    given = _arguments()
    if given.string == "fail":
        error = {"title": "the echo was told to fail", "detail": "give another text than 'fail'"}
        sys.stderr.write(json.dumps(error) + "\n")
        sys.exit(65)
    time.sleep(given.pause)
    outputs: dict[str, Any] = {
        "stringOutput": given.string,
        "doubleOutput": given.double,
        "choiceOutput": given.choice,
        "dateOutput": given.date,
        "codeOutput": given.code,
        "arrayOutput": given.array and [int(item) for item in given.array.split(",")],
        "documentOutput": _copy(given.document),
        "imageOutput": _copy(given.image),
        "geometryOutput": _copy(given.geometry),
        "featuresOutput": _copy(given.features),
        "documentsOutput": given.documents and [_copy(item) for item in given.documents],
    }
    if given.bbox:
        outputs["boundingBoxOutput"] = {
            "bbox": [float(number) for number in given.bbox.split(",")],
            **({"crs": given.crs} if given.crs else {}),
        }
    if given.property1 is not None:
        more = {} if given.property2 is None else {"property2": given.property2}
        outputs["objectOutput"] = {"property1": given.property1, **more}
    Path("cwl.output.json").write_text(json.dumps(outputs), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("string", "choice", "date", "code", "array", "bbox", "crs", "property1"):
        parser.add_argument(f"--{name}")
    for name in ("document", "image", "geometry", "features"):
        parser.add_argument(f"--{name}", type=Path)
    for name in ("double", "property2"):
        parser.add_argument(f"--{name}", type=float)
    parser.add_argument("--pause", type=int, default=0)
    parser.add_argument("--documents", type=Path, nargs="*")
    return parser.parse_args(_joined(sys.argv[1:]))


def _joined(arguments: list[str]) -> list[str]:
    """Write ``--string -x`` as ``--string=-x``: a value may begin with a hyphen."""
    if "--documents" in arguments:
        end = arguments.index("--documents")
        return _joined(arguments[:end]) + arguments[end:]
    pairs = zip(arguments[::2], arguments[1::2], strict=True)
    return [f"{name}={value}" for name, value in pairs]


def _copy(path: Path | None) -> dict[str, str] | None:
    if path is None:
        return None
    target = Path("echoed") / path.name
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(path, target)
    return {"class": "File", "path": str(target)}


main()
