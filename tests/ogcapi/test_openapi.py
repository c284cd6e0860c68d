"""The API definition is valid, every path in it answers, and every path served is in it."""

from __future__ import annotations

import re
from pathlib import Path

from openapi_spec_validator import validate

from k8s_manager.settings import Settings
from ogcapi.app import create_app
from tests.serving import Server

ROOT = Path(__file__).parents[2]


def test_the_definition_is_valid_and_what_it_names_answers(server: Server) -> None:
    document = server.get("/openapi").json()
    validate(document)
    for path, methods in document["paths"].items():
        if "get" not in methods or "{" in path:
            continue
        answer = server.get(path)
        # A whole coverage may be larger than one answer.
        assert answer.status_code in ((200, 413) if path.endswith("/coverage") else (200,)), path
        offered = methods["get"]["responses"]["200"]["content"]
        wanted = {media.split(";")[0] for media in offered}
        if answer.status_code == 200 and path != "/openapi":
            assert answer.headers["Content-Type"].split(";")[0] in wanted, path


def test_items_declare_datetime_and_the_properties_that_filter(server: Server) -> None:
    document = server.get("/openapi").json()
    for path, methods in document["paths"].items():
        if path.endswith("/items"):
            parameters = methods["get"]["parameters"]
            assert {"$ref": "#/components/parameters/datetime"} in parameters
            collection = path.removesuffix("/items")
            names = {entry.get("name") for entry in parameters}
            queryables = server.get(f"{collection}/queryables").json()["properties"]
            assert {name for name in queryables if name != "geometry"} <= names


def test_every_served_path_is_described(server: Server) -> None:
    app = create_app(Settings.load(env={}, config=ROOT / "pygeoapi-config.yml"))
    described = [re.sub(r"\{\w+\}", "{}", path) for path in server.get("/openapi").json()["paths"]]
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "{}", rule.rule)
        if rule.endpoint == "static" or path.startswith("/collections/{}"):
            continue  # collections are described one by one, as far as there are any
        if rule.endpoint.startswith("forms."):
            continue  # what pages send; no part of the API
        pattern = re.escape(path).replace(r"\{\}", r"[^/]+")
        assert any(re.fullmatch(pattern, known) for known in described), rule.rule
