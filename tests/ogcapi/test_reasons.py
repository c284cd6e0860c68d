"""Columns and codes on pages: what they mean is said in the language of the page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from flask.testing import FlaskClient

from k8s_manager.settings import Settings
from ogcapi.app import create_app
from processes.assess.evidence import Image, Sentinel2, Surface
from processes.publish.layers import LAYERS
from processes.vector import write_layers
from tests.ogcapi.providers.conftest import feature_resource, squares

ROOT = Path(__file__).parents[2]
SENTENCES = yaml.safe_load((ROOT / "processes" / "reasons.yml").read_text(encoding="utf-8"))
NAMES = yaml.safe_load((ROOT / "processes" / "columns.yml").read_text(encoding="utf-8"))
ENOUGH, SMALL = SENTENCES["trees-enough"], SENTENCES["too-small"]
VALUES = {"surface_cover": 0.25, "image_leaf_on": True, "shift_m": None, "of_tomorrow": [1, 2]}
ITEMS = "/collections/meadows/items"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[FlaskClient]:
    folder = tmp_path_factory.mktemp("reasons")
    (folder / "cdi.db").write_bytes(empty_store.read_bytes())
    features = squares(2)
    features["reason_main"] = ["trees-enough", "of-a-later-version"]
    features["values"] = json.dumps(VALUES)
    write_layers(folder / "meadows.gpkg", {"objects": features})
    config = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"))
    config["resources"] = {
        "meadows": feature_resource(
            folder / "meadows.gpkg",
            columns={"reasons": {"type": "array"}, "values": {"type": "object"}},
        )
    }
    (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    settings = Settings.load(env={"CDI_HOME": str(folder)}, config=folder / "config.yml")
    app = create_app(settings)
    with closing(app.extensions["cdi"].store):
        yield app.test_client()


def page(client: FlaskClient, path: str, language: str) -> str:
    return client.get(f"{path}?f=html&lang={language}").get_data(as_text=True)


@pytest.mark.parametrize("language", ["de", "en"])
def test_a_table_says_what_a_code_means_and_shows_the_code(
    client: FlaskClient, language: str
) -> None:
    assert f"<td>{ENOUGH[language]} <code>trees-enough</code></td>" in page(client, ITEMS, language)
    one = page(client, f"{ITEMS}/1", language)
    for code, said in (("trees-enough", ENOUGH), ("too-small", SMALL)):
        assert f"<li>{said[language]} <code>{code}</code></li>" in one


def test_a_code_that_nobody_knows_stands_for_itself(client: FlaskClient) -> None:
    assert re.search(r"<td> ?<code>of-a-later-version</code></td>", page(client, ITEMS, "de"))


def test_maps_get_the_same_texts(client: FlaskClient) -> None:
    found = re.search(r'id="meanings">(.*?)</script>', page(client, ITEMS, "de"))
    assert found is not None
    meanings = json.loads(found[1])
    values = meanings["values"]
    assert values["verdict"]["uncertain"] == "unsicher"
    assert values["reason_main"]["too-small"] == f"{SMALL['de']} (too-small)"
    assert set(values["reason_main"]) == set(SENTENCES)
    assert meanings["columns"]["verdict"] == "Urteil"


def test_data_keep_their_codes(client: FlaskClient) -> None:
    (first, *_) = client.get(f"{ITEMS}?f=json&lang=de").get_json()["features"]
    assert first["properties"]["reason_main"] == "trees-enough"
    assert first["properties"]["reasons"] == ["trees-enough", "too-small"]


@pytest.mark.parametrize(
    ("language", "main", "cover", "yes"),
    [
        (
            "de",
            "Hauptgrund",
            "Oberfläche: Kronenanteil</th><td>0,25",
            "belaubten Zustand</th><td>ja",
        ),
        ("en", "Main reason", "Surface: crown cover (share)</th><td>0.25", "leaves</th><td>yes"),
    ],
)
def test_columns_and_what_is_in_them_have_names(
    client: FlaskClient, language: str, main: str, cover: str, yes: str
) -> None:
    assert f'<th scope="col">{main}</th>' in page(client, ITEMS, language)
    one = page(client, f"{ITEMS}/1", language)
    assert f'<th scope="row">{main}</th>' in one
    assert cover in one
    assert yes in one
    assert '<code>of_tomorrow</code></th><td><ul class="nested"><li>1</li><li>2</li></ul>' in one
    assert f"<td>{main}" in page(client, "/collections/meadows/schema", language)


def test_every_column_and_measured_value_has_a_name() -> None:
    groups = {"surface": Surface, "image": Image, "sentinel2": Sentinel2}
    measured = {f"{name}_{f.name}" for name, group in groups.items() for f in fields(group)}
    columns = {name for layer in LAYERS for name in layer.columns}
    assert measured | columns <= set(NAMES)
    assert all(set(texts) == {"en", "de"} for texts in NAMES.values())
