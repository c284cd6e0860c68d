"""From releases to collections: what pygeoapi is told about each dataset's current release.

A release's manifest holds data only (names, counts, extents); which code reads it is said here.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from k8s_manager.records import Release
from k8s_manager.settings import Settings
from k8s_manager.workspace import Workspace
from ogcapi import crs

LOGGER = logging.getLogger(__name__)
FORMAT = 1
FEATURES = "ogcapi.providers.features.GeoPackageFeatures"
COVERAGE = "ogcapi.providers.coverage.ReleaseCoverage"
OFFERED_CODES = ("EPSG:4326", "EPSG:3857", "EPSG:4258", "EPSG:3035")
GEOPACKAGE = "application/geopackage+sqlite3"
GEOTIFF = "image/tiff; application=geotiff"
MAX_ENCLOSURES = 25  # rasters linked one by one; the manifest names all
Text = dict[str, str]

TITLES: dict[str, Text] = {
    "objects": {"en": "inventory objects with verdict", "de": "Objekte des Inventars mit Urteil"},
    "trees": {"en": "trees", "de": "Bäume"},
    "candidates": {
        "en": "possible orchards that the inventory lacks",
        "de": "mögliche Streuobstflächen, die im Inventar fehlen",
    },
    "ndom": {"en": "height above ground", "de": "Höhe über Grund (nDOM)"},
    "ndvi": {"en": "Sentinel-2 metrics of the year", "de": "Sentinel-2-Kennwerte des Jahres"},
}
DESCRIPTIONS: dict[str, Text] = {
    "objects": {
        "en": "Every inventory object with verdict, reason codes, values, thresholds and the "
        "dates of all inputs. Rejected does not mean lost: the reasons tell.",
        "de": "Jedes Objekt des Inventars mit Urteil, Gründen, Werten, Schwellen und dem Datum "
        "aller Eingangsdaten. Verworfen heißt nicht verloren: die Gründe stehen dabei.",
    },
    "trees": {
        "en": "Tree crowns found in the surface model, with height, width and score.",
        "de": "Im Oberflächenmodell erkannte Baumkronen mit Höhe, Breite und Güte.",
    },
    "candidates": {
        "en": "Groups of trees that look like an orchard and are not in the inventory.",
        "de": "Baumgruppen, die wie eine Streuobstwiese aussehen und nicht im Inventar stehen.",
    },
    "ndom": {
        "en": "Normalised surface model: height of trees and buildings above ground, metres.",
        "de": "Normalisiertes Oberflächenmodell: Höhe von Bäumen und Gebäuden über Grund, Meter.",
    },
    "ndvi": {
        "en": "Vegetation, moisture and bare soil over the year, from cloud-free Sentinel-2 dates.",
        "de": "Vegetation, Feuchte, offener Boden im Jahr, aus wolkenfreien Sentinel-2-Terminen.",
    },
}
KEYWORDS: dict[str, list[str]] = {
    "en": ["meadow orchard", "Sentinel-2", "surface model", "orthophoto"],
    "de": ["Streuobstwiese", "Sentinel-2", "Oberflächenmodell", "Orthophoto"],
}
BENCH: Text = {"en": "Test bench", "de": "Prüfstand"}
BENCH_NOTE: Text = {
    "en": "Made-up data: they say nothing about real places.",
    "de": "Künstliche Daten: sie sagen nichts über wirkliche Flächen.",
}
LICENCES = {
    "dl-de/zero-2-0": "https://www.govdata.de/dl-de/zero-2-0",
    "dl-de/by-2-0": "https://www.govdata.de/dl-de/by-2-0",
    "Licence Ouverte 2.0": "https://www.etalab.gouv.fr/licence-ouverte-open-licence/",
    "CC0 1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "Copernicus Sentinel data terms": "https://sentinels.copernicus.eu/documents/247904/690755/"
    "Sentinel_Data_Legal_Notice",
}


def release_resources(
    releases: Mapping[str, Release], settings: Settings
) -> dict[str, dict[str, Any]]:
    """Return pygeoapi's `resources` entries of all collections of the current releases.

    A release whose manifest cannot be read is left out and logged, so that it hides itself only.

    Args:
        releases: The current release by dataset.
        settings: Where the workspace is, titles of datasets, address of the service.
    """
    workspace = Workspace(settings.workspace)
    resources: dict[str, dict[str, Any]] = {}
    for dataset, release in sorted(releases.items()):
        folder = workspace.path(release.path)
        try:
            manifest = read_manifest(folder)
            for name, described in manifest["collections"].items():
                resources[f"{dataset}-{name}"] = _resource(
                    name, described, manifest, folder, release, settings
                )
        except (OSError, ValueError, KeyError, TypeError) as error:
            LOGGER.error("release %s of %s is not served: %s", release.version, dataset, error)
    return resources


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a release; kept until the file is another one.

    Raises:
        OSError: There is none.
        ValueError: It is no manifest of a format known here.
    """
    path = folder / "manifest.json"
    return _manifest(path, path.stat().st_mtime_ns)


def release_url(settings: Settings, dataset: str, version: str, name: str) -> str:
    """Return the address of a file of a release."""
    return f"{settings.base_url}/releases/{dataset}/{version}/{name}"


@functools.lru_cache(maxsize=64)
def _manifest(path: Path, _modified: int) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if manifest.get("format") != FORMAT:
        raise ValueError(f"{path} has format {manifest.get('format')!r}, expected {FORMAT}")
    return manifest


def _resource(
    name: str,
    described: Mapping[str, Any],
    manifest: Mapping[str, Any],
    folder: Path,
    release: Release,
    settings: Settings,
) -> dict[str, Any]:
    storage = crs.uri_of(manifest["crs"])
    others = [crs.CRS84, *(crs.uri_of(code) for code in OFFERED_CODES)]
    offered = [storage, *(uri for uri in others if uri != storage)]
    provider = _coverage(name, folder) if "rasters" in described else _features(described, folder)
    return {
        "type": "collection",
        "dataset": release.dataset,  # ours; an id alone does not tell where its dataset ends
        "title": _title(name, manifest, release.dataset, settings),
        "description": _description(name, manifest, release.dataset, settings),
        "keywords": KEYWORDS,
        "links": _links(described, manifest, folder, release, settings),
        "extents": {
            "spatial": {
                "bbox": described["bbox_crs84"] or manifest["bbox_crs84"],
                "crs": crs.CRS84,
            },
            "temporal": _period(manifest["period"]),
        },
        "providers": [{**provider, "crs": offered, "storage_crs": storage}],
    }


def _features(described: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {
        "type": "feature",
        "name": FEATURES,
        "data": str(folder / Path(described["file"]).name),
        "table": described["layer"],
        "id_field": described["id_field"],
        "title_field": described["id_field"],
        "columns": described["fields"],
    }


def _coverage(name: str, folder: Path) -> dict[str, Any]:
    return {
        "type": "coverage",
        "name": COVERAGE,
        "data": str(folder / "manifest.json"),
        "options": {"collection": name},
        "format": {"name": "GeoTIFF", "mimetype": GEOTIFF},
    }


def _title(name: str, manifest: Mapping[str, Any], dataset: str, settings: Settings) -> Text:
    known = settings.datasets.get(dataset)
    titles = dict(known.title) if known else {}
    result = {}
    for language, word in BENCH.items():
        whole = f"{titles.get(language, dataset)}: {TITLES.get(name, {}).get(language, name)}"
        marked = manifest["test_bench"] and word.lower() not in whole.lower()
        result[language] = f"{word}: {whole}" if marked else whole
    return result


def _description(name: str, manifest: Mapping[str, Any], dataset: str, settings: Settings) -> Text:
    texts = DESCRIPTIONS.get(name, {"en": name, "de": name})
    known = settings.datasets.get(dataset)
    notes = known.note if known and name == "objects" else {}  # the verdicts need it
    described = {}
    for language, text in texts.items():
        before = [BENCH_NOTE[language]] if manifest["test_bench"] else []
        after = [notes[language]] if language in notes else []
        described[language] = " ".join([*before, text, *after])
    return described


def _links(
    described: Mapping[str, Any],
    manifest: Mapping[str, Any],
    folder: Path,
    release: Release,
    settings: Settings,
) -> list[dict[str, Any]]:
    def link(rel: str, media: str, file: str, english: str, german: str) -> dict[str, Any]:
        # pygeoapi asks the address of an enclosure without length for one: always say it.
        return {
            "rel": rel,
            "type": media,
            "title": {"en": english, "de": german},
            "href": release_url(settings, release.dataset, release.version, file),
            "length": (folder / file).stat().st_size,
        }

    links = [
        link("describedby", "text/html", "report.html", "Report", "Bericht"),
        link("describedby", "application/json", "manifest.json", "Manifest", "Manifest"),
    ]
    if "rasters" in described:
        own = [entry["file"] for entry in described["rasters"] if entry["release"] is None]
        for file in own[:MAX_ENCLOSURES]:
            links.append(link("enclosure", GEOTIFF, file, f"{file} (COG)", f"{file} (COG)"))
    else:
        file = described["file"]
        words = "All features as GeoPackage", "Alle Objekte als GeoPackage"
        links.append(link("enclosure", GEOPACKAGE, file, *words))
    for licence in dict.fromkeys(entry["licence"] for entry in manifest["inputs"]):
        address = licence if licence.startswith("https://") else LICENCES.get(licence)
        if address:
            title = {"en": f"Licence of inputs: {licence}", "de": f"Lizenz der Daten: {licence}"}
            links.append({"rel": "license", "type": "text/html", "title": title, "href": address})
    return links


def _period(text: str) -> dict[str, datetime]:
    """Return begin and end of an ISO 8601 interval of days, as pygeoapi wants them."""
    begin, _, end = text.partition("/")
    found = {}
    if begin not in ("", ".."):
        found["begin"] = datetime.fromisoformat(begin[:10]).replace(tzinfo=UTC)
    if end not in ("", ".."):
        last = datetime.fromisoformat(end[:10])
        found["end"] = last.replace(hour=23, minute=59, second=59, tzinfo=UTC)
    return found
