"""Two rasters of 40 x 30 cells side by side; a cell holds 1000 * row + column of the mosaic."""

import json

import numpy as np
import pytest
import rasterio
from flask import Flask
from rasterio.transform import from_origin

from ogcapi.coverage import CoverageError, coverage_response
from processes.raster import write_cog
from tests.ogcapi.providers.conftest import OFFERED, STORAGE

LEFT, TOP, CELL = 350000.0, 5700300.0, 10.0
WIDTH, ROWS, COLS = 40, 30, 80


def entry(file, col, release=None, width=WIDTH, rows=ROWS):
    left = LEFT + col * CELL
    return {
        "release": release,
        "file": file,
        "bounds": [left, TOP - rows * CELL, left + width * CELL, TOP],
        "res": [CELL, CELL],
        "width": width,
        "height": rows,
    }


def write(path, col, values=None, width=WIDTH, rows=ROWS, dtype="float32", nodata=-9999.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    if values is None:
        values = 1000 * np.arange(rows)[:, None] + np.arange(col, col + width)[None, :]
    write_cog(
        path,
        np.asarray(values, dtype=dtype).reshape(-1, rows, width),
        transform=from_origin(LEFT + col * CELL, TOP, CELL, CELL),
        crs="EPSG:25832",
        nodata=nodata,
    )


def manifest(folder, entries, bands=(("ndom", "m"),), nodata=-9999.0):
    document = {
        "format": 1,
        "crs": "EPSG:25832",
        "period": "2023-01-01/2023-12-31",
        "collections": {
            "ndom": {
                "rasters": entries,
                "bands": [{"name": n, "unit": u, "dtype": "float32"} for n, u in bands],
                "nodata": nodata,
            }
        },
    }
    (folder / "manifest.json").write_text(json.dumps(document))
    return folder / "manifest.json"


def resource(path):
    return {
        "type": "collection",
        "title": "Height",
        "description": "d",
        "keywords": ["k"],
        "links": [],
        "extents": {"spatial": {"bbox": [6, 51, 7, 52]}},
        "providers": [
            {
                "type": "coverage",
                "name": "ogcapi.providers.coverage.ReleaseCoverage",
                "data": str(path),
                "options": {"collection": "ndom"},
                "format": {"name": "GeoTIFF", "mimetype": "image/tiff; application=geotiff"},
                "crs": OFFERED,
                "storage_crs": STORAGE,
            }
        ],
    }


def two_rasters(folder):
    """Write a release of two rasters and return its manifest."""
    write(folder / "ndom-a.tif", 0)
    write(folder / "ndom-b.tif", WIDTH)
    return manifest(folder, [entry("ndom-a.tif", 0), entry("ndom-b.tif", WIDTH)])


def ask(path, query="", limit=10_000_000, accept=None):
    headers = {} if accept is None else {"Accept": accept}
    with Flask(__name__).test_request_context(f"/coverage?{query}", headers=headers):
        return coverage_response(resource(path), limit)


def tiff(path, query="", limit=10_000_000):
    response = ask(path, query, limit)
    assert response.status_code == 200, response.data
    assert response.headers["Content-Type"] == "image/tiff; application=geotiff"
    with rasterio.MemoryFile(response.data) as memory, memory.open() as dataset:
        return dataset.read(), dataset.transform, dataset.profile | dict(dataset.tags())


def refused(path, query, status=400, limit=10_000_000, accept=None):
    with pytest.raises(CoverageError) as caught:
        ask(path, query, limit, accept)
    assert caught.value.status == status
    return caught.value.detail


def storage_box(left, bottom, right, top):
    return f"bbox={left},{bottom},{right},{top}&bbox-crs={STORAGE}"
