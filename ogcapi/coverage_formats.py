"""A coverage window as a file: Cloud Optimized GeoTIFF, or CoverageJSON where it is small."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil

from ogcapi import crs
from ogcapi.coverage_request import CoverageError
from ogcapi.coverage_window import CoverageWindow, gdal_crs

GEOTIFF = "image/tiff; application=geotiff"
COVERAGE_JSON = "application/prs.coverage+json"
JSON_LIMIT = 100_000  # values; about 1 MB of text
UCUM = "http://www.opengis.net/def/uom/UCUM/"


def geotiff(window: CoverageWindow) -> bytes:
    """Return the window as Cloud Optimized GeoTIFF, equal bytes for equal content."""
    bands, rows, cols = window.data.shape
    floating = np.issubdtype(window.data.dtype, np.floating)
    options = {
        "COMPRESS": "DEFLATE",
        "LEVEL": "1",  # answers are made once and sent once
        "PREDICTOR": "FLOATING_POINT" if floating else "STANDARD",
        "BLOCKSIZE": "512",
        "OVERVIEW_RESAMPLING": "AVERAGE",
    }
    with rasterio.MemoryFile() as plain, rasterio.MemoryFile(ext=".tif") as packed:
        with plain.open(
            driver="GTiff",
            count=bands,
            height=rows,
            width=cols,
            dtype=window.data.dtype,
            crs=gdal_crs(window.crs),
            transform=window.transform,
            nodata=window.nodata,
        ) as dataset:
            dataset.write(window.data)
            for number, band in enumerate(window.bands, 1):
                dataset.set_band_description(number, band.name)
                dataset.set_band_unit(number, band.unit)
        with plain.open() as source:
            rasterio.shutil.copy(source, packed.name, driver="COG", **options)
        return bytes(packed.getbuffer())


def coverage_json(window: CoverageWindow) -> dict[str, Any]:
    """Return the window as CoverageJSON (OGC 21-069r2).

    Raises:
        CoverageError: 413 when it is too large for text.
    """
    bands, rows, cols = window.data.shape
    if window.data.size > JSON_LIMIT:
        raise CoverageError(
            413,
            "Coverage too large for CoverageJSON",
            f"the answer would have {cols} x {rows} cells in {bands} bands; CoverageJSON is given "
            f"up to {JSON_LIMIT} values. Ask for GeoTIFF (f=geotiff) or a larger scale-factor.",
        )
    geographic = crs.crs_of(window.crs).is_geographic
    coordinates = ["y", "x"] if crs.north_first(window.crs) else ["x", "y"]
    kind = "GeographicCRS" if geographic else "ProjectedCRS"
    return {
        "type": "Coverage",
        "domain": {
            "type": "Domain",
            "domainType": "Grid",
            "axes": {
                "x": _axis(window.transform.c, window.transform.a, cols),
                "y": _axis(window.transform.f, window.transform.e, rows),
            },
            "referencing": [
                {"coordinates": coordinates, "system": {"type": kind, "id": window.crs}}
            ],
        },
        "parameters": {
            band.name: {
                "type": "Parameter",
                "observedProperty": {"label": {"en": band.name}},
                "unit": {"symbol": {"value": band.unit, "type": UCUM}},
            }
            for band in window.bands
        },
        "ranges": {
            band.name: {
                "type": "NdArray",
                "dataType": "float" if window.data.dtype.kind == "f" else "integer",
                "axisNames": ["y", "x"],
                "shape": [rows, cols],
                "values": _values(layer, window.nodata),
            }
            for band, layer in zip(window.bands, window.data, strict=True)
        },
    }


def json_bytes(document: dict[str, Any]) -> bytes:
    """Return a document as UTF-8."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


def _axis(edge: float, step: float, count: int) -> dict[str, Any]:
    """Describe cell centres."""
    return {"start": edge + step / 2, "stop": edge + step * (count - 0.5), "num": count}


def _values(layer: Any, nodata: float | None) -> list[float | None]:
    return [
        None if value == nodata or not math.isfinite(value) else value
        for value in layer.ravel().tolist()
    ]
