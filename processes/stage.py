"""What every stage program shares, so that a runner can rely on how it ends, reports, writes.

Exit codes follow ``sysexits``: 0 done, 65 the input data are at fault, 75 try again, anything
else is a bug. One JSON line on stderr says what was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

EXIT_DONE = 0
EXIT_BUG = 70
EXIT_INPUT_DATA = 65
EXIT_TRY_AGAIN = 75


class StageError(Exception):
    """A stage cannot go on; `title` says what, `detail` where, what was expected and what to do."""

    exit_code = EXIT_BUG

    def __init__(self, title: str, detail: str = "") -> None:
        super().__init__(f"{title}: {detail}" if detail else title)
        self.title = title
        self.detail = detail


class InputDataError(StageError):
    """The input data are at fault; trying again cannot help (exit code 65)."""

    exit_code = EXIT_INPUT_DATA


class TemporaryError(StageError):
    """Something outside failed for now; trying again may help (exit code 75)."""

    exit_code = EXIT_TRY_AGAIN


class Progress:
    """Appends progress lines (JSON) to the file that ``CDI_PROGRESS`` names; silent without it.

    A line holds ``time`` (Unix seconds), ``done``, ``total``, ``unit`` and ``message``; ``done``
    never falls.
    """

    def __init__(self, path: str | None = None) -> None:
        self._stream: TextIO | None = None
        if path:  # stays open until the program ends
            self._stream = Path(path).open("a", encoding="utf-8")  # noqa: SIM115
        self._done = 0.0

    def update(self, done: float, total: float, unit: str, message: str = "") -> None:
        """Report that `done` of `total` `unit` are finished."""
        self._done = max(self._done, done)
        if self._stream is None:
            return
        line = {
            "time": round(time.time(), 3),
            "done": self._done,
            "total": total,
            "unit": unit,
            "message": message,
        }
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Close the file; later reports are dropped."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def run_stage(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace, Progress], None],
    argv: Sequence[str] | None = None,
) -> int:
    """Parse the command line, run a stage and return its exit code."""
    args = parser.parse_args(argv)
    progress = Progress(os.environ.get("CDI_PROGRESS"))
    try:
        run(args, progress)
    except StageError as error:
        _report(error.title, error.detail)
        return error.exit_code
    except MemoryError:
        raise
    except OSError as error:
        if error.errno in (28, 122):  # ENOSPC, EDQUOT
            _report("no space left", f"{error}. Free space on the volume, then run again.")
            return EXIT_TRY_AGAIN
        return _bug(error)
    except Exception as error:  # noqa: BLE001  the last line of defence: one line, no stack trace
        return _bug(error)
    finally:
        progress.close()
    return EXIT_DONE


@contextmanager
def complete(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; the file appears as `path` only when complete.

    Written beside, flushed to disk, then renamed. After an error nothing remains.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    partial.unlink(missing_ok=True)
    try:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, document: object) -> None:
    """Write `document` as JSON with sorted keys, so that equal content gives equal bytes."""
    with complete(path) as partial:
        text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")


def _bug(error: Exception) -> int:
    if os.environ.get("CDI_DEBUG"):
        traceback.print_exc()
    _report(
        f"internal error: {type(error).__name__}",
        f"{error}. This is a fault of the program, not of your data; "
        "run the step again with CDI_DEBUG=1 to see where, and report it.",
    )
    return EXIT_BUG


def _report(title: str, detail: str) -> None:
    sys.stderr.write(json.dumps({"title": title, "detail": detail}, ensure_ascii=False) + "\n")
