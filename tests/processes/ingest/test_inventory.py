"""Inventories arrive in many forms; each becomes the same table, and every change is noted."""

import json

import geopandas as gpd
import pytest
import shapely
from shapely.geometry import MultiPolygon, Point, Polygon, box

from processes.ingest.findings import Findings
from processes.ingest.inventory import at_home, check_place, read_inventory
from processes.ingest.reference_systems import metric_crs
from processes.stage import InputDataError
from tests.processes.ingest.scenery import inventory

UTM = metric_crs("EPSG:25832")


def save(path, geometries, crs="EPSG:25832", **columns):
    gpd.GeoDataFrame(columns, geometry=geometries, crs=crs).to_file(path, engine="pyogrio")
    return path


def read(path):
    findings = Findings()
    return read_inventory(path, UTM, findings), findings.notes


def test_german_columns_become_the_known_ones(tmp_path):
    path = save(
        tmp_path / "a.gpkg",
        [box(0, 0, 50, 50)],
        Kennung=["BT-1"],
        Bezeichnung=["Am Hang"],
        Gemeinde=["Hünxe"],
        Kreis=["Wesel"],
        Biotoptyp=["HK2"],
        Kartierdatum=["31.05.2012"],
        Baumzahl=["12"],
    )
    row = read(path)[0].iloc[0]
    assert tuple(row.drop("geometry")) == (
        *("BT-1", "Am Hang", "Hünxe", "Wesel", "HK2", "2012-05-31", 12, 2500.0, 1, None),
    )
    assert row.geometry == MultiPolygon([box(0, 0, 50, 50)])


@pytest.mark.parametrize(
    ("given", "iso"),
    [
        ("2012-06-01", "2012-06-01"),
        ("2012", "2012"),
        ("2012-06", "2012-06"),
        ("2012-13", None),
        ("3.6.2012", "2012-06-03"),
        ("?", None),
    ],
)
def test_dates_are_read_as_people_write_them(tmp_path, given, iso):
    path = save(tmp_path / "a.gpkg", [box(0, 0, 9, 9)], id=["a"], datum=[given])
    assert read(path)[0]["inventory_date"].iloc[0] == iso


def test_a_geojson_in_degrees_is_moved_to_the_run_s_crs(tmp_path):
    place = gpd.GeoSeries([box(500_000, 5_650_000, 500_100, 5_650_100)], crs=25832).to_crs(4326)
    path = tmp_path / "a.geojson"
    path.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {
                        "type": "Feature",
                        "properties": {"id": 7},
                        "geometry": shapely.geometry.mapping(place.iloc[0]),
                    }
                ],
            }
        )
    )
    objects, _ = read(path)
    assert objects["object_id"].tolist() == ["7"]
    assert objects.total_bounds == pytest.approx([500_000, 5_650_000, 500_100, 5_650_100], abs=0.01)
    assert objects["area_m2"].iloc[0] == pytest.approx(10_000, abs=1)


def test_ids_that_occur_twice_are_renamed_with_a_note(tmp_path):
    path = save(tmp_path / "a.gpkg", [box(0, 0, 9, 9)] * 4, id=["a", "a", None, "a-2"])
    objects, notes = read(path)
    assert objects["object_id"].tolist() == ["a", "a-3", "at-4-4", "a-2"]
    assert notes == ["inventory: id a is used again in row 2; renamed to a-3"]


def test_without_an_id_column_objects_are_named_by_their_place(tmp_path):
    places = [box(0, 0, 9, 9), box(0, 0, 9, 9), box(20, 40, 21, 41)]
    objects, notes = read(save(tmp_path / "a.gpkg", places, note=["x", "y", "z"]))
    assert objects["object_id"].tolist() == ["at-4-4", "at-4-4-2", "at-20-40"]
    assert "no id column" in notes[0]
    alone, _ = read(save(tmp_path / "b.gpkg", places[2:], note=["z"]))
    assert alone["object_id"].tolist() == ["at-20-40"]


def test_a_crossing_outline_is_repaired_and_says_so(tmp_path):
    bow = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    objects, notes = read(save(tmp_path / "a.gpkg", [bow], id=["bow"]))
    assert objects.geometry.iloc[0].is_valid
    assert objects["area_m2"].iloc[0] == 50  # two triangles of 25 m²
    assert objects["geometry_note"].iloc[0] == "repaired: Self-intersection"
    assert "row 1" in notes[0]


def test_heights_are_dropped(tmp_path):
    solid = Polygon([(0, 0, 5), (9, 0, 5), (9, 9, 5)])
    assert not read(save(tmp_path / "a.gpkg", [solid], id=["a"]))[0].geometry.iloc[0].has_z


def test_objects_without_a_polygon_are_left_out_by_name(tmp_path):
    path = save(tmp_path / "a.gpkg", [box(0, 0, 9, 9), None, Polygon()], id=["a", "b", "c"])
    objects, notes = read(path)
    assert objects["object_id"].tolist() == ["a"]
    assert [note.split(" of ")[0] for note in notes] == [
        "inventory: object in row 2",
        "inventory: object in row 3",
    ]


def test_a_ring_that_does_not_close_leaves_its_object_out_by_name(tmp_path):
    path = inventory(tmp_path / "a.geojson", {"a": (3e5, 5.7e6, 50), "b": (3e5, 5.7e6, 50)})
    document = json.loads(path.read_text())
    ring = document["features"][0]["geometry"]["coordinates"][0]
    document["features"][0]["geometry"]["coordinates"][0] = ring[:3]
    path.write_text(json.dumps(document))
    with pytest.warns(RuntimeWarning, match="Non closed ring"):
        objects, notes = read(path)
    assert objects["object_id"].tolist() == ["b"]
    assert notes == ["inventory: object in row 1 of a.geojson has no polygon and is left out"]


def test_dates_and_counts_that_are_none_are_named(tmp_path):
    path = save(
        tmp_path / "a.gpkg",
        [box(0, 0, 9, 9)] * 3,
        id=["a", "b", "c"],
        datum=["2012", "Frühjahr", None],
        baumzahl=["etwa 9", "7", "viele"],
    )
    objects, notes = read(path)
    assert objects["inventory_trees"].tolist()[1] == 7
    assert notes == [
        "inventory: 1 of 3 values of datum are not understood as inventory_date and count as "
        "unknown; the first is 'Frühjahr' in row 2",
        "inventory: 2 of 3 values of baumzahl are not understood as inventory_trees and count as "
        "unknown; the first is 'etwa 9' in row 1",
    ]


def test_an_inventory_of_another_place_is_refused(tmp_path):
    objects, _ = read(save(tmp_path / "a.gpkg", [box(0, 0, 9, 9)], id=["a"]))
    with pytest.raises(InputDataError) as caught:
        check_place(objects, box(1000, 1000, 2000, 2000))
    assert caught.value.title == "inventory lies elsewhere"
    assert "(0, 0, 9, 9)" in caught.value.detail


def test_the_first_polygon_layer_of_a_geopackage_is_read(tmp_path):
    path = tmp_path / "a.gpkg"
    gpd.GeoDataFrame({"id": [1]}, geometry=[Point(0, 0)], crs=25832).to_file(path, layer="trees")
    gpd.GeoDataFrame({"id": [2]}, geometry=[box(0, 0, 9, 9)], crs=25832).to_file(
        path, layer="areas"
    )
    assert read(path)[0]["object_id"].tolist() == ["2"]


@pytest.mark.parametrize(
    ("make", "title"),
    [
        (lambda p: p / "absent.gpkg", "file not found"),
        (lambda p: (p / "a.gpkg").write_text("no") and p / "a.gpkg", "vector file cannot be read"),
        (
            lambda p: p.joinpath("a.json").write_text("") or p / "a.json",
            "vector file cannot be read",
        ),
        (lambda p: (p / "a.txt").write_text("no") and p / "a.txt", "vector format not supported"),
        (lambda p: save(p / "a.gpkg", [], id=[]), "inventory holds no objects"),
        (lambda p: save(p / "a.gpkg", [Point(0, 0)], id=[1]), "inventory holds no polygon layer"),
        (
            lambda p: inventory(p / "a.geojson", {"metres": (3e5, 5e6, 50)}, crs=None),
            "inventory has the wrong coordinate reference system",
        ),
    ],
)
def test_what_is_no_inventory_is_refused(tmp_path, make, title):
    with pytest.raises(InputDataError) as caught:
        read(make(tmp_path))
    assert caught.value.title == title


def test_an_inventory_without_crs_is_refused(tmp_path):
    path = tmp_path / "a.shp"
    save(path, [box(0, 0, 9, 9)], id=["a"])
    path.with_suffix(".prj").unlink()
    with pytest.raises(InputDataError, match="no coordinate reference system"):
        read(path)


def test_an_object_is_at_home_where_its_inner_point_lies(tmp_path):
    path = save(
        tmp_path / "a.gpkg",
        [box(0, 0, 10, 10), box(18, 0, 21, 10), box(19, 0, 40, 10)],
        id=["inside", "mostly", "barely"],
    )
    assert at_home(read(path)[0], box(0, 0, 20, 20))["object_id"].tolist() == ["inside", "mostly"]


def geojson(path, ids):
    place = shapely.geometry.mapping(box(7.0, 51.0, 7.001, 51.001))
    features = [
        {"type": "Feature", "properties": {"hk": "HK2"}, "geometry": place}
        | ({} if number is None else {"id": number})
        for number in ids
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.mark.parametrize("ids", [[4711, 12], [1, 2], ["a-1", "b"]])
def test_ids_of_geojson_features_are_kept(tmp_path, ids):
    objects, notes = read(geojson(tmp_path / "a.geojson", ids))
    assert objects["object_id"].tolist() == [str(number) for number in ids]
    assert notes == []


def test_geojson_features_without_ids_are_named_by_their_place(tmp_path):
    objects, _ = read(geojson(tmp_path / "a.geojson", [None, None]))
    assert [name[:3] for name in objects["object_id"]] == ["at-", "at-"]


def test_names_that_a_shapefile_cut_are_known(tmp_path):
    path = tmp_path / "a.shp"
    frame = gpd.GeoDataFrame(
        {"Objektkennung": ["BT-1"], "Objektbezeichnung": ["Am Hang"], "Anzahl_Baeume": [12],
         "Erfassungsdatum": ["2012-06"]},
        geometry=[box(0, 0, 9, 9)], crs="EPSG:25832",
    )  # fmt: skip
    with pytest.warns(UserWarning, match="10 characters"), pytest.warns(RuntimeWarning):
        frame.to_file(path, engine="pyogrio")
    row = read(path)[0].iloc[0]
    found = row[["object_id", "name", "inventory_trees", "inventory_date"]].tolist()
    assert found == ["BT-1", "Am Hang", 12, "2012-06"]


def test_a_shapefile_without_its_other_files_says_so(tmp_path):
    path = save(tmp_path / "a.shp", [box(0, 0, 9, 9)], id=["a"])
    path.with_suffix(".shx").unlink()
    path.with_suffix(".dbf").unlink()
    with pytest.raises(InputDataError, match=r"\.shx and \.dbf of a is not beside a\.shp"):
        read(path)
