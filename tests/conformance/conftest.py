"""A server with the echo configuration, as a validator would be pointed at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import Server, serving

CONFIG = Path(__file__).parents[1] / "echo" / "pygeoapi-config.yml"


@pytest.fixture(scope="session")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("echo")
    with serving(CONFIG, home / "var") as running:
        yield running
