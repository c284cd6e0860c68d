"""What all commands of ``cdi`` share: where they write, how they are told their configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from k8s_manager.errors import CdiError, InvalidInputs

OUT = Console()
ERR = Console(stderr=True)

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file (CDI_CONFIG).", dir_okay=False),
]


def complain(sentence: str) -> None:
    """Say what is wrong, on stderr."""
    ERR.print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)


def explained(work: Callable[[], object]) -> None:
    """Do `work`; an error that a person can do something about becomes one sentence.

    Raises:
        SystemExit: With the exit code that goes with the error.
    """
    try:
        work()
    except InvalidInputs as error:
        ERR.print("[red]The inputs are not valid:[/red]")
        for violation in error.violations:
            sentence = f"  {violation.sentence()}"
            ERR.print(sentence, markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(2) from error
    except CdiError as error:
        complain(str(error))
        raise SystemExit(2) from error
    except BrokenPipeError:  # the reader of a pipe, such as head, has what it wanted
        sys.stdout = None  # nothing is left to flush
        raise SystemExit(141) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        complain(f"{place}{error.strerror or error}")
        raise SystemExit(1) from error
