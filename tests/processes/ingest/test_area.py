"""The area of a run, however it is given, is one polygon in the run's CRS."""

import json

import geopandas as gpd
import pytest
import shapely
from pyproj import CRS

from processes.ingest.area import (
    area_from_bbox,
    area_from_district,
    area_from_geojson,
    polygons,
    write_area,
)
from processes.ingest.reference_systems import check_scale, metric_crs
from processes.stage import InputDataError
from tests.processes.ingest.scenery import FULL, WITHOUT_RECORDINGS

UTM = metric_crs("EPSG:25832")
SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]]}


def geojson(path, document):
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    "wrap",
    [
        lambda shape: shape,
        lambda shape: {"type": "Feature", "properties": {}, "geometry": shape},
        lambda shape: {"type": "GeometryCollection", "geometries": [shape]},
        lambda shape: {
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "properties": {}, "geometry": shape}],
        },
    ],
)
def test_every_form_of_geojson_is_read_in_the_crs_it_names(tmp_path, wrap):
    stated = {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}}
    area = area_from_geojson(geojson(tmp_path / "a.json", {**wrap(SQUARE), **stated}), UTM)
    assert area.equals(shapely.box(0, 0, 9, 9))


def test_without_a_crs_member_numbers_are_longitude_and_latitude(tmp_path):
    ring = [[9, 51], [9.01, 51], [9.01, 51.01], [9, 51.01], [9, 51]]
    file = geojson(tmp_path / "a.json", {"type": "Polygon", "coordinates": [ring]})
    area = area_from_geojson(file, UTM)
    # 9 degrees east is the central meridian of zone 32: x is exactly 500 km
    assert area.bounds[0] == pytest.approx(500_000, abs=0.01)
    assert area.bounds[1] == pytest.approx(5_649_824, abs=200)


def test_holes_heights_and_crossing_edges_are_taken_as_they_are_meant(tmp_path):
    bow = [[9, 51, 7], [9.02, 51.02, 7], [9.02, 51, 7], [9, 51.02, 7], [9, 51, 7]]
    area = area_from_geojson(
        geojson(tmp_path / "a.json", {"type": "Polygon", "coordinates": [bow]}), UTM
    )
    assert area.is_valid
    assert not area.has_z
    assert len(area.geoms) == 2


@pytest.mark.parametrize(
    ("document", "title"),
    [
        ({"type": "Point", "coordinates": [9, 51]}, "area not understood"),
        ({"type": "FeatureCollection", "features": []}, "area not understood"),
        ({"type": "Polygon", "coordinates": "?"}, "area not understood"),
        ([1, 2], "area not understood"),
        (
            {"type": "Polygon", "coordinates": [[[9, 51], [9, 51], [9, 51], [9, 51]]]},
            "area is empty",
        ),
        (
            {"type": "Polygon", "coordinates": [[[3e5, 5e6], [4e5, 5e6], [4e5, 6e6], [3e5, 5e6]]]},
            "area is not in longitude and latitude",
        ),
    ],
)
def test_what_is_no_area_is_refused(tmp_path, document, title):
    with pytest.raises(InputDataError) as caught:
        area_from_geojson(geojson(tmp_path / "a.json", document), UTM)
    assert caught.value.title == title


def test_an_endless_document_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(InputDataError, match="area not understood"):
        area_from_geojson(tmp_path / "a.json", UTM)


def test_a_bbox_in_the_run_s_crs_is_exact():
    area = area_from_bbox([0, 0, 9, 9], "http://www.opengis.net/def/crs/EPSG/0/25832", UTM)
    assert area.equals(shapely.box(0, 0, 9, 9))


def test_a_bbox_in_crs84_is_longitude_first_and_one_in_epsg_4326_latitude_first():
    crs84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
    east_first = area_from_bbox([9, 51, 9.1, 51.1], crs84, UTM)
    north_first = area_from_bbox([51, 9, 51.1, 9.1], "EPSG:4326", UTM)
    assert east_first.bounds == pytest.approx(north_first.bounds, abs=0.5)
    assert east_first.bounds[0] == pytest.approx(500_000, abs=0.01)


def test_a_run_in_a_crs_with_north_first_still_counts_x_east():
    gauss = metric_crs("EPSG:31467")  # its authority writes northing before easting
    area = area_from_bbox([9, 51, 9.1, 51.1], "OGC:CRS84", gauss)
    assert 3_499_000 < area.bounds[0] < 3_501_000


def test_a_bbox_means_the_same_place_whether_or_not_the_run_has_its_crs():
    values = [5_650_000, 3_500_000, 5_651_000, 3_502_000]  # northing first, as EPSG:31467 says
    gauss = area_from_bbox(values, "EPSG:31467", metric_crs("EPSG:31467"))
    assert gauss.equals(shapely.box(3_500_000, 5_650_000, 3_502_000, 5_651_000))
    utm = area_from_bbox(values, "EPSG:31467", UTM)
    assert gauss.area == pytest.approx(utm.area, rel=0.01)


@pytest.mark.parametrize("values", [[1, 2, 3], [5, 0, 1, 9], [0, 0, 0, 9], [0, 0, float("inf"), 1]])
def test_a_bbox_without_four_numbers_or_extent_is_refused(values):
    with pytest.raises(InputDataError, match="bbox"):
        area_from_bbox(values, "EPSG:25832", UTM)


@pytest.fixture
def districts(tmp_path):
    frame = gpd.GeoDataFrame(
        {"KN": ["05170000", "05154000", "05170000"], "GN": ["Wesel", "Kleve", "Wesel"]},
        geometry=[shapely.box(0, 0, 5, 5), shapely.box(9, 0, 12, 5), shapely.box(0, 6, 5, 9)],
        crs="EPSG:25832",
    )
    frame.to_file(tmp_path / "krs.shp", engine="pyogrio")
    return tmp_path / "krs.shp"


def test_a_district_is_all_its_parts(districts):
    area = area_from_district(districts, "05170", ("AGS", "KN"), UTM)
    assert area.area == 5 * 5 + 5 * 3


@pytest.mark.parametrize("code", ["Wesel", "517", "05170;", "05999"])
def test_an_unknown_district_is_refused(districts, code):
    with pytest.raises(InputDataError, match="district"):
        area_from_district(districts, code, ("AGS", "KN"), UTM)


@pytest.mark.skipif(not FULL, reason=WITHOUT_RECORDINGS)
def test_kreis_wesel_out_of_the_real_districts_has_its_published_size():
    path = f"{FULL}/J_nrw_admin_tileindex/landkreise_sim200.geojson"
    area = area_from_district(path, "05170", ("AGS", "RS"), UTM)
    assert area.area / 1e6 == pytest.approx(1043, abs=2)


@pytest.mark.parametrize("text", ["EPSG:4326", "EPSG:2277", "EPSG:999999", "nonsense"])
def test_a_run_needs_a_projected_crs_in_metres(text):
    with pytest.raises(InputDataError):
        metric_crs(text)


def test_a_crs_whose_metres_are_none_is_refused_where_it_is_so():
    place = [7.0, 51.5, 7.1, 51.6]
    for code in ("EPSG:25832", "EPSG:3035", "EPSG:31467", "EPSG:25833"):
        check_scale(area_from_bbox(place, "OGC:CRS84", metric_crs(code)), metric_crs(code))
    web = metric_crs("EPSG:3857")
    with pytest.raises(InputDataError, match=r"2\.59 times"):
        check_scale(area_from_bbox(place, "OGC:CRS84", web), web)


def test_the_written_area_names_its_crs_and_is_read_back(tmp_path):
    write_area(tmp_path / "area.geojson", polygons(shapely.box(1, 2, 3, 4)), UTM, "EPSG:25832")
    frame = gpd.read_file(tmp_path / "area.geojson")
    assert CRS(frame.crs).to_epsg() == 25832
    assert frame.geometry.iloc[0].bounds == (1, 2, 3, 4)
