from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.k8s_manager.installation import Installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation.at(tmp_path / "home")
    yield made
    made.store.close()
