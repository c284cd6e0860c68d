"""The conformance page claims exactly what is tested: a test for each requirement of each class."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from ogcapi.site_views import CONFORMANCE

ROOT = Path(__file__).parents[2]
PROCESSES = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/"

# Requirements of OGC 18-062r2 by class, as the standard names them.
REQUIREMENTS = {
    "core": """
        landingpage-op landingpage-success api-definition-op api-definition-success conformance-op
        conformance-success http process-list pl-limit-definition pl-limit-response
        process-list-success pl-links process process-success process-exception/no-such-process
        process-execute-op process-execute-request process-execute-inputs
        process-execute-input-array process-execute-input-inline-object
        process-execute-input-mixed-type process-execute-input-inline-binary
        process-execute-input-inline-bbox process-execute-input-validation
        process-execute-default-execution-mode process-execute-auto-execution-mode
        process-execute-default-outputs process-execute-sync-raw-value-one
        process-execute-sync-raw-value-multi process-execute-sync-raw-ref
        process-execute-sync-raw-mixed-multi process-execute-sync-document
        process-execute-success-async job job-success job-exception-no-such-job job-results
        job-results-async-document job-results-async-raw-value-one
        job-results-async-raw-value-multi job-results-async-raw-ref
        job-results-async-raw-mixed-multi job-results-exception/no-such-job
        job-results-exception/results-not-ready job-results-failed""",
    "ogc-process-description": """
        json-encoding inputs-def input-def input-mixed-type outputs-def output-def
        output-mixed-type""",
    "json": "definition",
    "html": "definition content",
    "oas30": "oas-definition-1 oas-definition-2 oas-impl completeness exceptions-codes security",
    "job-list": """
        job-list-op job-list-success type-definition type-response processID-mandatory
        processID-definition processid-response status-definition status-response
        datetime-definition datetime-response duration-definition duration-response
        limit-definition limit-response links""",
    "callback": "job-callback",
    "dismiss": "job-dismiss-op job-dismiss-success",
}

# Classes of other standards, and the tests that hold them.
ELSEWHERE = {
    "ogcapi-common-1/1.0/conf/core": "tests/conformance/test_core.py",
    "ogcapi-common-1/1.0/conf/json": "tests/conformance/test_classes.py",
    "ogcapi-common-1/1.0/conf/html": "tests/conformance/test_classes.py",
    "ogcapi-common-1/1.0/conf/oas30": "tests/conformance/test_definition.py",
    "ogcapi-common-2/1.0/conf/collections": "tests/ogcapi/providers",
    "ogcapi-features-1/1.0/conf/core": "tests/ogcapi/providers",
    "ogcapi-features-1/1.0/conf/oas30": "tests/ogcapi/test_openapi.py",
    "ogcapi-features-1/1.0/conf/html": "tests/ogcapi/providers",
    "ogcapi-features-1/1.0/conf/geojson": "tests/ogcapi/providers",
    "ogcapi-features-2/1.0/conf/crs": "tests/ogcapi/providers",
    "ogcapi-processes-3/0.0/conf/nested-processes": "tests/conformance/test_nested.py",
}


def written() -> set[str]:
    """Return the names of the tests of requirements, wherever below tests/ they stand."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        names = re.findall(r"^def (test_req_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
        if names:
            module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            found |= {name for name in names if callable(getattr(module, name))}
    return found


def function(class_: str, requirement: str) -> str:
    return f"test_req_{class_}_{requirement}".replace("-", "_").replace("/", "_").lower()


@pytest.mark.parametrize("claim", CONFORMANCE)
def test_a_class_that_is_claimed_is_tested(claim: str) -> None:
    if not claim.startswith(PROCESSES):
        place = ROOT / ELSEWHERE[claim.removeprefix("http://www.opengis.net/spec/")]
        assert list(place.rglob("test_*.py")) or place.is_file()
        return
    class_ = claim.removeprefix(PROCESSES)
    needed = {function(class_, name) for name in REQUIREMENTS[class_].split()}
    assert needed - written() == set()


def test_a_test_of_a_requirement_belongs_to_a_class_that_is_claimed() -> None:
    claimed = {claim.removeprefix(PROCESSES) for claim in CONFORMANCE}
    known = {
        function(class_, name)
        for class_, names in REQUIREMENTS.items()
        if class_ in claimed
        for name in names.split()
    }
    assert written() <= known
