"""A published release becomes collections with titles, extents, links and the right providers."""

import copy
import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from flask import Flask
from pygeoapi.api import describe_collections
from pygeoapi.api.itemtypes import get_collection_items

from k8s_manager.dataset_settings import Dataset
from k8s_manager.records import Release
from k8s_manager.settings import Settings
from ogcapi.collections import release_resources
from processes.publish.__main__ import parser, run
from processes.stage import Progress
from tests.ogcapi.providers.conftest import Client
from tests.processes.publish.conftest import WEST, Run


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A release made by the publish stage, in a workspace as the controller stores it."""
    root = tmp_path_factory.mktemp("workspace")
    made = Run(root / "run", WEST, ("confirmed", "rejected", "uncertain"))
    made.write()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        run(parser().parse_args(made.arguments()), Progress())
    target = root / "releases" / "orchards" / "000001"
    target.parent.mkdir(parents=True)
    (made.folder / "release").rename(target)
    return root


@pytest.fixture
def settings(published, tmp_path):
    title = {"en": "Meadow orchards", "de": "Streuobstwiesen"}
    dataset = Dataset("orchards", None, "EPSG:25832", ("orchard-monitoring",), title)
    return Settings(
        config=tmp_path / "c.yml", home=tmp_path, database_url="sqlite://", workspace=published,
        public_url="https://example.org", datasets={"orchards": dataset},
    )  # fmt: skip


def release(version="000001"):
    path = f"workspace:releases/orchards/{version}"
    return Release("orchards", version, path, "2024-01-01T00:00:00Z", "0" * 32, None)


@pytest.fixture
def resources(settings):
    return release_resources({"orchards": release()}, settings)


@pytest.fixture
def bench(published, settings, tmp_path):
    """The same release, said to be a test bench."""
    folder = tmp_path / "w" / "releases" / "orchards" / "000001"
    shutil.copytree(published / "releases" / "orchards" / "000001", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"test_bench": True}))
    changed = dataclasses.replace(settings, workspace=tmp_path / "w")
    return release_resources({"orchards": release()}, changed)


def described(resources, collection, query=""):
    client = Client(copy.deepcopy(resources))
    status, _, body = client.call(describe_collections, collection, query=query)
    assert status == 200, body
    return body


def test_a_release_gives_one_collection_per_layer_and_coverage(resources):
    assert set(resources) == {
        "orchards-objects", "orchards-trees", "orchards-candidates", "orchards-ndom",
    }  # fmt: skip
    body = described(resources, None)
    assert {entry["id"] for entry in body["collections"]} == set(resources)


def test_titles_come_in_the_language_asked_for(resources):
    english = described(resources, "orchards-objects")["title"]
    german = described(resources, "orchards-objects", "lang=de-DE")["title"]
    assert english == "Meadow orchards: inventory objects with verdict"
    assert german == "Streuobstwiesen: Objekte des Inventars mit Urteil"


def test_a_test_bench_is_marked_in_title_and_description(bench, resources):
    entry = bench["orchards-trees"]
    assert entry["title"]["en"].startswith("Test bench: ")
    assert entry["title"]["de"].startswith("Prüfstand: ")
    assert "Made-up data" in entry["description"]["en"]
    assert "Test bench" not in resources["orchards-trees"]["title"]["en"]


def test_what_a_reader_must_know_stands_with_the_verdicts(settings):
    note = {"en": "Uncertain is right here.", "de": "Unsicher ist hier richtig."}
    noted = dataclasses.replace(settings.datasets["orchards"], note=note)
    told = dataclasses.replace(settings, datasets={"orchards": noted})
    resources = release_resources({"orchards": release()}, told)
    assert resources["orchards-objects"]["description"]["en"].endswith(" Uncertain is right here.")
    assert resources["orchards-objects"]["description"]["de"].endswith("Unsicher ist hier richtig.")
    assert "Uncertain is" not in resources["orchards-trees"]["description"]["en"]


def test_a_collection_knows_its_dataset_where_one_name_begins_with_another(published, settings):
    folder = published / "releases" / "orchards-new" / "000001"
    if not folder.exists():
        shutil.copytree(published / "releases" / "orchards" / "000001", folder)
    new = Release("orchards-new", "000001", f"workspace:releases/{folder.parent.name}/000001",
                  "2024-01-01T00:00:00Z", "0" * 32, None)  # fmt: skip
    resources = release_resources({"orchards": release(), "orchards-new": new}, settings)
    assert resources["orchards-new-objects"]["dataset"] == "orchards-new"
    assert resources["orchards-objects"]["dataset"] == "orchards"


def test_extent_and_period_are_those_of_the_release(resources):
    extent = described(resources, "orchards-objects")["extent"]
    left, bottom, right, top = extent["spatial"]["bbox"][0]
    assert 6.8 < left < right < 6.9
    assert 51.4 < bottom < top < 51.5
    begin, end = extent["temporal"]["interval"][0]
    assert begin.startswith("2023-01-01T00:00:00")
    assert end.startswith("2023-12-31T23:59:59")


def test_features_are_offered_in_the_crs_of_the_contract(resources):
    body = described(resources, "orchards-objects")
    assert body["storageCrs"] == "http://www.opengis.net/def/crs/EPSG/0/25832"
    codes = [uri.rsplit("/", 1)[1] for uri in body["crs"]]
    assert codes == ["25832", "CRS84", "4326", "3857", "4258", "3035"]


def test_every_file_link_says_its_length_and_names_a_file_that_is_there(resources, published):
    folder = published / "releases" / "orchards" / "000001"
    count = 0
    for collection in resources:
        for link in described(resources, collection)["links"]:
            if link["rel"] in ("enclosure", "describedby"):
                prefix = "https://example.org/releases/orchards/000001/"
                assert link["href"].startswith(prefix)
                path = folder / link["href"].removeprefix(prefix)
                if link["rel"] == "enclosure":
                    assert link["length"] == path.stat().st_size
                assert path.is_file()
                count += 1
    assert count == 4 * 3


def test_licences_of_the_inputs_are_linked(resources):
    links = described(resources, "orchards-objects")["links"]
    assert "https://www.govdata.de/dl-de/zero-2-0" in [
        link["href"] for link in links if link["rel"] == "license"
    ]


def test_features_of_a_release_are_served_with_json_codes_and_own_ids(resources):
    client = Client(copy.deepcopy(resources))
    query = "verdict=rejected&datetime=2023-06-01"
    status, _, body = client.call(get_collection_items, "orchards-objects", query=query)
    assert status == 200, body
    (feature,) = body["features"]
    assert feature["id"] == "o1"
    assert feature["properties"]["reasons"] == ["trees-enough", "one-source-only"]


def test_a_release_that_cannot_be_read_hides_itself_only(settings, caplog):
    broken = Release("broken", "000007", "workspace:releases/broken/000007", "", "0" * 32, None)
    resources = release_resources({"orchards": release(), "broken": broken}, settings)
    assert "orchards-objects" in resources
    assert not [name for name in resources if name.startswith("broken")]
    assert "release 000007 of broken is not served" in caplog.text


@pytest.fixture
def files(settings):
    """The view of release files, with a service that has this workspace."""
    from k8s_manager.workspace import Workspace
    from ogcapi import problems, release_files

    class OnlyWorkspace:
        workspace = Workspace(settings.workspace)

    app = Flask(__name__)
    app.extensions["cdi"] = OnlyWorkspace()
    app.register_blueprint(release_files.BLUEPRINT)
    app.register_error_handler(problems.Problem, problems.response)
    return app.test_client()


def test_files_of_a_release_can_be_fetched_whole_and_in_parts(files, published):
    held = (published / "releases/orchards/000001/objects.gpkg").read_bytes()
    with files.get("/releases/orchards/000001/objects.gpkg") as whole:
        assert whole.data == held
        assert whole.mimetype == "application/geopackage+sqlite3"
        etag = whole.headers["ETag"]
    part = files.get("/releases/orchards/000001/objects.gpkg", headers={"Range": "bytes=0-15"})
    with part:
        assert (part.status_code, part.data) == (206, held[:16])
    kept = files.get("/releases/orchards/000001/objects.gpkg", headers={"If-None-Match": etag})
    with kept:
        assert kept.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "orchards/000001/secret.txt", "orchards/000009/objects.gpkg", "other/000001/objects.gpkg",
        "orchards/000001/..%2f..%2f..%2frun%2fitems.json", "..%2freleases/000001/objects.gpkg",
        "orchards/%2e%2e/items.json", "orchards/000001/%2e%2e",
    ],
)  # fmt: skip
def test_nothing_else_can_be_fetched(files, published, path):
    (Path(published) / "releases" / "orchards" / "000001" / "secret.txt").write_text("x")
    assert files.get(f"/releases/{path}").status_code == 404
