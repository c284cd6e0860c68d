"""Whatever arrives is answered, and by 4xx where it is wrong: no 500, no hang.

The application runs in this process with a store of its own and no controller, so that a request
costs a millisecond and thousands can be made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k8s_manager.settings import Settings
from ogcapi.app import create_app
from tests.conformance.conftest import CONFIG

EXECUTE = "/processes/echo/execution"
BOUNDED = settings(
    max_examples=150,
    deadline=20_000,  # milliseconds for one request, with all that the machine does besides
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
INPUTS = (
    *("stringInput", "pause", "doubleInput", "choiceInput", "dateInput", "codeInput"),
    *("arrayInput", "boundingBoxInput", "objectInput", "documentInput", "imageInput"),
    *("geometryInput", "featuresInput", "documentsInput", "program", "none"),
)
# All that JSON can hold, and the words that our own code looks for.
VOCABULARY = """value href type mediaType encoding schema bbox crs class File location features
    coordinates Polygon FeatureCollection process inputs outputs transmissionMode format path base64
    text/xml application/json"""
PARAMETERS = """limit offset after datetime status type processID minDuration maxDuration f lang
    outputs index stream step response"""
WORDS = st.sampled_from(VOCABULARY.split())
TEXTS = st.text(max_size=30) | WORDS
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)
BODIES = st.fixed_dictionaries(
    {"inputs": st.dictionaries(st.sampled_from(INPUTS), VALUES, max_size=6) | VALUES},
    optional={
        "outputs": VALUES,
        "response": VALUES,
        "subscriber": VALUES,
        "mode": VALUES,
        "process": VALUES,
    },
)
# Header values that a server can receive at all: printable Latin-1.
HEADERS = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
PREFERENCES = st.lists(
    st.sampled_from(
        ["respond-async", "wait=", "wait=10", "wait=99999999999", 'wait="1', "handling"]
    )
    | st.sampled_from(["return=minimal", ";", "=", ",", '"', "\\", "RESPOND-ASYNC;a=b", "wait=-1"])
    | HEADERS,
    max_size=5,
).map(",".join)
MEDIA = st.lists(
    st.sampled_from(["text/html", "*/*", "application/json", ";q=0", ";q=1.5", "text/*", ";q="])
    | HEADERS,
    max_size=5,
).map(",".join)
RANGES = st.sampled_from(["bytes=0-", "bytes=-5", "bytes=5-1", "bytes=a-b", "bytes=0-1,3-4"]) | (
    st.tuples(st.integers(), st.integers()).map("bytes={0[0]}-{0[1]}".format) | HEADERS
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    home = tmp_path_factory.mktemp("fuzz")
    loaded = Settings.load(env={"CDI_HOME": str(home)}, config=CONFIG)
    # Nobody would end a synchronous execution here, so none is waited for.
    app = create_app(replace(loaded, sync_limit_s=0.0))
    store = app.extensions["cdi"].store
    store.migrate()
    yield app.test_client()
    store.close()


def answered(answer: Any, *statuses: int) -> None:
    """Check that an answer is one of those foreseen, and a problem document where it is 4xx."""
    assert answer.status_code in (*statuses, 400), answer.text
    if answer.status_code >= 400:
        assert answer.mimetype == "application/problem+json" or answer.mimetype == "text/html"


@BOUNDED
@given(body=BODIES)
def test_any_execute_request_is_accepted_or_refused(client: FlaskClient, body: Any) -> None:
    answer = client.post(EXECUTE, json=body, headers={"Prefer": "respond-async"})
    answered(answer, 201)
    if answer.status_code == 400:
        problem = answer.get_json()
        assert problem["title"]
        assert all(entry["expected"] for entry in problem.get("violations", []))


@BOUNDED
@given(body=st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_accepted_or_refused(client: FlaskClient, body: bytes) -> None:
    kind = {"Content-Type": "application/json", "Prefer": "respond-async"}
    answered(client.post(EXECUTE, data=body, headers=kind), 201)


@BOUNDED
@given(prefer=PREFERENCES)
def test_any_preference_is_read_or_ignored(client: FlaskClient, prefer: str) -> None:
    body = {"inputs": {"stringInput": "a"}}
    answered(client.post(EXECUTE, json=body, headers={"Prefer": prefer}), 201)


@BOUNDED
@given(accept=MEDIA, path=st.sampled_from(["/", "/processes", "/jobs", "/openapi", "/conformance"]))
def test_any_accept_header_is_served_or_refused(
    client: FlaskClient, accept: str, path: str
) -> None:
    answered(client.get(path, headers={"Accept": accept}), 200, 406)


@BOUNDED
@given(asked=RANGES)
def test_any_range_is_served_or_refused(client: FlaskClient, asked: str) -> None:
    made = client.post(
        EXECUTE, json={"inputs": {"stringInput": "a"}}, headers={"Prefer": "respond-async"}
    )
    path = f"/jobs/{made.get_json()['jobID']}/logs"
    answered(client.get(path, headers={"Range": asked}), 200, 206, 416)


@BOUNDED
@given(
    path=st.sampled_from(["/jobs", "/processes", "/jobs/none/results", "/jobs/none/logs", "/"]),
    query=st.dictionaries(
        st.sampled_from(PARAMETERS.split()) | st.text(max_size=8),
        st.text(max_size=30)
        | st.sampled_from(["../..", "2023-01-01T00:00:00Z/..", "9999-12-31T23:59:59-23:59", "1e9"])
        | st.sampled_from(["0001-01-01T00:00:00+23:59/", "-1", "99999999999999999999", "\x00"]),
        max_size=4,
    ),
)
def test_any_query_is_served_or_refused(
    client: FlaskClient, path: str, query: dict[str, str]
) -> None:
    answered(client.get(f"{path}?{urlencode(query)}"), 200, 404, 406)
