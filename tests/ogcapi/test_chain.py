"""The example of the README: the chain over HTTP on the real sample, and what is served of it."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import rasterio

from tests.serving import Server

ROOT = Path(__file__).parents[2]
EXAMPLE = json.loads((ROOT / "openapi" / "examples" / "orchard-monitoring.json").read_text())
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def finished(server: Server) -> dict[str, Any]:
    """The finished job of the example, with every status that was seen on the way."""
    before = {entry["id"] for entry in server.get("/collections").json()["collections"]}
    assert not any(name.startswith("example-") for name in before)
    answer = server.post(
        "/processes/orchard-monitoring/execution", EXAMPLE, headers={"Prefer": "respond-async"}
    )
    assert answer.status_code == 201, answer.text
    job, seen = answer.json()["jobID"], []
    while True:
        document = server.get(f"/jobs/{job}").json()
        seen.append((document["status"], document["progress"], document["message"]))
        if document["status"] in ("successful", "failed"):
            break
    assert document["status"] == "successful", document
    return {"job": job, "seen": seen}


def test_progress_is_true_and_names_the_steps(finished: dict[str, Any]) -> None:
    progress = [entry[1] for entry in finished["seen"]]
    assert progress == sorted(progress)
    assert progress[-1] == 100
    assert len(set(progress)) > 5
    messages = " ".join(entry[2] for entry in finished["seen"])
    for step in ("ingest", "preprocess", "detect", "assess", "publish"):
        assert f"{step}: " in messages


def test_results_link_files_that_can_be_read(
    server: Server, finished: dict[str, Any], tmp_path: Path
) -> None:
    results = server.get(f"/jobs/{finished['job']}/results").json()
    assert set(results) == {"release", "objects", "trees", "candidates", "report", "summary"}
    summary = server.get(results["summary"]["href"]).json()
    assert summary["objects"]["by_verdict"] == {"confirmed": 0, "rejected": 0, "uncertain": 8}
    assert summary["trees"] > 10
    objects = server.get(results["objects"]["href"])
    assert objects.headers["Content-Type"] == "application/geopackage+sqlite3"
    assert objects.content.startswith(b"SQLite format 3\x00")
    names = {entry["title"] for entry in server.get(results["release"]["href"]).json()["links"]}
    assert {"manifest.json", "report.html", "objects.gpkg"} <= names


@pytest.mark.parametrize("path", ["%2e%2e", "%2e%2e/%2e%2e/attempt.json", "%00", "a" * 3000])
def test_a_folder_of_results_gives_no_file_outside(
    server: Server, finished: dict[str, Any], path: str
) -> None:
    assert server.get(f"/jobs/{finished['job']}/results/release/{path}").status_code == 404


def test_files_of_a_release_run_no_script(server: Server, finished: dict[str, Any]) -> None:
    listed = server.get(f"/jobs/{finished['job']}/results/release", headers=BROWSER)
    assert "manifest.json" in listed.text
    for path in (f"/jobs/{finished['job']}/results/report", "/releases/example/000001/report.html"):
        policy = server.get(path).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy


def test_new_collections_appear_in_every_worker_without_a_restart(
    server: Server, finished: dict[str, Any]
) -> None:
    def names(_: int) -> frozenset[str]:
        documents = server.get("/collections").json()["collections"]
        return frozenset(entry["id"] for entry in documents)

    with ThreadPoolExecutor(8) as pool:
        seen = set(pool.map(names, range(40)))
    assert len(seen) == 1
    expected = {f"example-{name}" for name in ("objects", "trees", "candidates", "ndom")}
    assert expected <= next(iter(seen))


def test_the_verdict_of_the_sample_is_uncertain_for_the_right_reasons(
    server: Server, finished: dict[str, Any]
) -> None:
    features = server.get("/collections/example-objects/items?limit=100").json()["features"]
    assert len(features) == 8
    for feature in features:
        assert feature["properties"]["verdict"] == "uncertain"
        assert "sentinel2-missing" in feature["properties"]["reasons"]


def test_items_come_in_stable_pages_and_in_the_storage_crs(
    server: Server, finished: dict[str, Any]
) -> None:
    url: str | None = "/collections/example-trees/items?limit=7&crs=" + (
        "http://www.opengis.net/def/crs/EPSG/0/2154"
    )
    found: list[str] = []
    while url:
        answer = server.get(url)
        assert "EPSG/0/2154" in answer.headers["Content-Crs"]
        document = answer.json()
        found += [feature["id"] for feature in document["features"]]
        x, y = document["features"][0]["geometry"]["coordinates"][0][0]
        assert 484000 < x < 486000
        assert 6632000 < y < 6634000
        nexts = [link["href"] for link in document["links"] if link["rel"] == "next"]
        url = nexts[0] if nexts else None
    assert len(found) == len(set(found)) == document["numberMatched"]


def test_a_window_of_the_coverage_equals_the_source(
    server: Server, finished: dict[str, Any]
) -> None:
    crs = "http://www.opengis.net/def/crs/EPSG/0/2154"
    box = (484820.0, 6632720.0, 484860.0, 6632760.0)
    answer = server.get(
        "/collections/example-ndom/coverage",
        params={"bbox": ",".join(map(str, box)), "bbox-crs": crs, "f": "GTiff"},
    )
    assert answer.status_code == 200, answer.text
    source = ROOT / "samples" / "rural" / "ndom" / "rural_484800_6632600_2024.tif"
    with rasterio.open(io.BytesIO(answer.content)) as window, rasterio.open(source) as tile:
        expected = tile.read(1, window=rasterio.windows.from_bounds(*box, tile.transform))
        assert window.read(1).tobytes() == expected.tobytes()


def test_pages_show_the_result_to_a_stranger(server: Server, finished: dict[str, Any]) -> None:
    for path in (
        "/",
        "/collections",
        "/collections/example-objects",
        "/collections/example-objects/items",
        "/collections/example-ndom",
        "/collections/example-objects/queryables",
        "/processes/orchard-monitoring",
        f"/jobs/{finished['job']}",
        f"/jobs/{finished['job']}/results",
        "/openapi",
    ):
        page = server.get(path, headers=BROWSER)
        assert page.status_code == 200, path
        assert page.headers["Content-Type"].startswith("text/html")
        for attribute in ("src", '<link rel="stylesheet" href'):
            for address in page.text.split(f'{attribute}="')[1:]:
                assert address.startswith((server.url, "/")), (path, address[:80])
    landing = server.get("/", headers=BROWSER).text
    assert "uncertain" in landing
    assert "Uncertain is the right verdict here" in landing


def test_a_release_that_lost_a_file_hides_no_other_page(
    server: Server, finished: dict[str, Any]
) -> None:
    summary = next((server.log.parent / "workspace" / "releases").glob("example/*/summary.json"))
    away = summary.rename(summary.with_name("away"))
    try:
        page = server.get("/", headers=BROWSER)
    finally:
        away.rename(summary)
    assert page.status_code == 200
    assert "Uncertain is the right verdict here" not in page.text


def test_an_unknown_parameter_of_items_is_refused(server: Server, finished: dict[str, Any]) -> None:
    assert server.get("/collections/example-objects/items?verdict=uncertain").status_code == 200
    refused = server.get("/collections/example-objects/items?colour=red")
    assert refused.status_code == 400
    assert "colour" in refused.json()["detail"]
    assert server.get("/collections/none/items").status_code == 404


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="needs GDAL's ogrinfo")
def test_gdal_reads_the_features(server: Server, finished: dict[str, Any]) -> None:
    done = subprocess.run(
        ["ogrinfo", "-so", f"OAPIF:{server.url}", "example-objects"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Feature Count: 8" in done.stdout, done.stdout + done.stderr
    layers = subprocess.run(
        ["ogrinfo", f"OAPIF:{server.url}"], capture_output=True, text=True, timeout=120, check=False
    )
    assert "example-objects" in layers.stdout
    assert "ndom" not in layers.stdout  # a coverage
    assert "ERROR" not in layers.stderr


def test_another_area_or_dataset_is_refused_with_a_sentence(server: Server) -> None:
    inputs = {**EXAMPLE["inputs"], "dataset": "nowhere"}
    answer = server.post("/processes/orchard-monitoring/execution", {"inputs": inputs})
    assert answer.status_code == 400
    assert "demo-rural" in answer.json()["detail"]
    inputs = {**EXAMPLE["inputs"], "district": "05170"}
    answer = server.post("/processes/orchard-monitoring/execution", {"inputs": inputs})
    assert answer.status_code == 400


def test_a_source_that_is_not_configured_fails_the_job_with_the_known_names(
    server: Server,
) -> None:
    inputs = {**EXAMPLE["inputs"], "sources": ["nowhere"]}
    answer = server.post("/processes/orchard-monitoring/execution", {"inputs": inputs})
    done = server.finish(answer.json()["jobID"])
    assert done["status"] == "failed"
    problem = server.get(f"/jobs/{done['jobID']}/results").json()
    assert "rural-ndom" in problem["detail"]
