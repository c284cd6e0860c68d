"""A real pygeoapi API over files that the tests write themselves."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from flask import Flask, request
from pygeoapi.api import API, APIRequest

from ogcapi import compat, crs
from processes.vector import write_layers

STORAGE = crs.uri_of("EPSG:25832")
OFFERED = [STORAGE, crs.CRS84, *(crs.uri_of(f"EPSG:{n}") for n in (4326, 3857, 4258, 3035))]


@pytest.fixture(autouse=True)
def own_functions():
    compat.install()


def config(resources):
    return {
        "server": {
            "url": "http://localhost:5000",
            "mimetype": "application/json",
            "encoding": "utf-8",
            "languages": ["en-US", "de-DE"],
            "limits": {"default_items": 10, "max_items": 10000},
            "map": {"url": "https://localhost/{z}/{x}/{y}.png", "attribution": ""},
            "bind": {"host": "127.0.0.1", "port": 5000},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {
                "title": "t",
                "description": "d",
                "keywords": ["k"],
                "url": "http://localhost",
                "keywords_type": "theme",
                "terms_of_service": "http://localhost",
            },
            "license": {"name": "n", "url": "http://localhost"},
            "provider": {"name": "n", "url": "http://localhost"},
            "contact": {"name": "n"},
        },
        "resources": resources,
    }


def feature_resource(path, table="objects", id_field="object_id", columns=None):
    return {
        "type": "collection",
        "title": {"en": "Objects", "de": "Objekte"},
        "description": "d",
        "keywords": ["k"],
        "links": [],
        "extents": {"spatial": {"bbox": [6, 50, 8, 52]}},
        "providers": [
            {
                "type": "feature",
                "name": "ogcapi.providers.features.GeoPackageFeatures",
                "data": str(path),
                "table": table,
                "id_field": id_field,
                "crs": list(OFFERED),
                "storage_crs": STORAGE,
                "columns": columns or {},
            }
        ],
    }


class Client:
    """Calls pygeoapi's functions as its own Flask views do."""

    def __init__(self, resources):
        self.api = API(config(resources), {})
        self.app = Flask(__name__)

    def call(self, function, *args, query=""):
        with self.app.test_request_context(f"/x?{query}"):
            asked = APIRequest.from_flask(request, self.api.locales)
            headers, status, body = function(self.api, asked, *args)
        return int(status), headers, compat.plain(body)


def squares(count, geometry=None):
    """`count` squares of 10 m, 20 m apart on a line to the east, with one column of each kind."""
    left = 350000 + 20.0 * np.arange(count)
    return gpd.GeoDataFrame(
        {
            "object_id": [f"o{i:06d}" for i in range(count)],
            "verdict": np.array(["confirmed", "rejected"], dtype=object)[np.arange(count) % 2],
            "trees": np.arange(count) % 7,
            "cover": np.arange(count) / 10,
            "reasons": ['["trees-enough", "too-small"]'] * count,
            "note": [None] * count,
        },
        geometry=shapely.box(left, 5700000, left + 10, 5700010) if geometry is None else geometry,
        crs="EPSG:25832",
    )


@pytest.fixture
def make_geopackage(tmp_path):
    """Write squares into a GeoPackage, with a unique index on the id as releases have."""
    import sqlite3
    from contextlib import closing

    def make(count=25, name="objects.gpkg", index=True, geometry=None):
        path = tmp_path / name
        write_layers(path, {"objects": squares(count, geometry)})
        if index:
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("CREATE UNIQUE INDEX ids ON objects(object_id)")
        return path

    return make
