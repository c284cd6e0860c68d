"""Made in bulk, each geometry is what shapely writes for it alone."""

import json

import numpy as np
import pytest
import shapely

from ogcapi.providers.geojson import geojson_of

SQUARE = shapely.box(0, 0, 1, 1)
HOLED = shapely.Polygon(
    [(0, 0), (9, 0), (9, 9), (0, 9)],
    [[(1, 1), (2, 1), (2, 2)], [(4, 4), (5, 4), (5, 5)]],
)


@pytest.mark.parametrize(
    "shapes",
    [
        [SQUARE, HOLED, shapely.MultiPolygon([HOLED, shapely.box(20, 20, 21, 21)])],
        [shapely.MultiPolygon([SQUARE])],
        [SQUARE, None, shapely.Point(1, 2)],
        [SQUARE, shapely.MultiPolygon()],
        [],
    ],
)
def test_geometries_in_bulk_are_those_made_one_by_one(shapes):
    expected = [
        None if shape is None else json.loads(shapely.to_geojson(shape)) for shape in shapes
    ]
    assert geojson_of(np.array(shapes, dtype=object)) == expected


def test_heights_are_left_out():
    shape = shapely.Polygon([(0, 0, 5), (1, 0, 5), (1, 1, 5)])
    assert geojson_of(np.array([shape]))[0]["coordinates"][0][0] == [0, 0]


def test_an_empty_polygon_has_no_coordinates():
    shapes = np.array([shapely.Polygon(), SQUARE])
    assert geojson_of(shapes)[0] == {"type": "Polygon", "coordinates": []}
