from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.evidence import watch
from tests.k8s_manager.installation import Installation


@pytest.fixture(autouse=True)
def _recorded(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    """Note in the results what fault a test makes and what it looks up after it."""
    marker = request.node.get_closest_marker("fault")
    assert marker is not None, "a test of this folder says which fault it makes"
    fault, evidence = marker.args
    record_property("fault", fault)
    record_property("evidence", evidence)


@pytest.fixture
def watched(installation: Installation) -> Installation:
    """An installation whose store notes what happens to outcomes, commits and releases."""
    watch(installation)
    return installation
