"""What a test does where something that it needs is not there."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(reason: str) -> NoReturn:
    """Skip the test and say why; fail where nothing may be skipped (CI=true)."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"CI=true, and {reason}", pytrace=False)
    pytest.skip(reason)
