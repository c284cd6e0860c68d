"""What all commands of ``cdi`` share: where they write, how they are told their configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

OUT = Console()
ERR = Console(stderr=True)

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file (CDI_CONFIG).", dir_okay=False),
]


def complain(sentence: str) -> None:
    """Say what is wrong, on stderr."""
    ERR.print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)
