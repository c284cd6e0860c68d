"""What counts as a crown, on surfaces that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from processes.detect.layers import crown_layer
from processes.detect.thresholds import Reach, Thresholds
from processes.stage import InputDataError
from tests.processes.detect.scenes import NORTH, WEST, build, found, plant, surface


def test_a_lone_tree_is_one_crown_at_its_place():
    # Cells of 0.5 m, top in the middle of row 60, column 40; radius 8 cells = 4 m.
    crowns, structures = found(plant(surface(120), 60, 40, 7.0, 8))
    assert (crowns.x.tolist(), crowns.y.tolist()) == ([WEST + 20.25], [NORTH - 30.25])
    assert crowns.columns["height_m"].tolist() == [7.0]
    # Half an ellipsoid is higher than 0.3 of its height within sqrt(1 - 0.3²) = 0.954 radii.
    assert crowns.columns["diameter_m"][0] == pytest.approx(2 * 4 * 0.954, abs=0.3)
    assert crowns.columns["score"][0] > 0.9
    assert len(structures.x) == 0


def test_a_tree_has_the_name_of_its_place_in_decimetres():
    crowns, _ = found(plant(surface(120), 60, 40, 7.0, 8))
    layer = crown_layer(crowns, np.array(["2021-06-01"], dtype=object), "EPSG:25832")
    assert layer["tree_id"].tolist() == ["t3720202_57279697"]
    assert layer["surface_date"].tolist() == ["2021-06-01"]


@pytest.mark.parametrize(("distance", "trees"), [(5, 1), (14, 2)])
def test_tops_in_one_crown_are_one_tree(distance, trees):
    # Two domes of 3.5 m radius, 2.5 m or 7 m apart: joined tops, or a saddle down to the ground.
    ndom = plant(plant(surface(120), 60, 40, 7.0, 7), 60, 40 + distance, 6.5, 7)
    assert len(found(ndom)[0].x) == trees


def test_tops_without_a_saddle_between_them_are_one_tree():
    # Two tops 4 m apart on one plateau of 5 m: the surface sinks by 0.4 m between them.
    ndom = surface(120)
    ndom[54:67, 36:57] = 5.0
    ndom = plant(plant(ndom, 60, 42, 5.4, 30), 60, 50, 5.5, 30)
    assert len(found(ndom, roof_roughness=0.0)[0].x) == 1


def test_a_shrub_below_the_lowest_height_is_no_tree():
    ndom = plant(plant(surface(120), 30, 30, 2.4, 6), 80, 80, 2.6, 6)
    assert found(ndom)[0].columns["height_m"].tolist() == [2.6]


def test_a_crown_ends_where_its_largest_diameter_does():
    crowns, _ = found(plant(surface(160), 80, 80, 20.0, 60), max_flatness=1.0)
    assert crowns.columns["diameter_m"][0] == pytest.approx(18.0, abs=0.3)


def test_a_roof_is_a_structure_and_no_tree():
    # 10 m x 15 m, its roof rises by 0.2 m a cell (22 degrees) to the ridge and falls again.
    ndom = surface(120)
    build(ndom, slice(40, 50), slice(40, 70), 4.0, 0.2)
    build(ndom, slice(50, 60), slice(40, 70), 5.8, -0.2)
    crowns, structures = found(ndom)
    assert len(crowns.x) == 0
    assert structures.columns["area_m2"].sum() == pytest.approx(150, rel=0.1)


def test_a_tree_beside_a_house_stays_a_tree():
    ndom = surface(120)
    build(ndom, slice(40, 60), slice(40, 70), 5.0)
    crowns, _ = found(plant(ndom, 50, 85, 8.0, 8))
    assert crowns.columns["height_m"].tolist() == [8.0]


def test_no_crown_grows_over_missing_data_and_one_cut_by_it_counts_less():
    ndom = plant(surface(120), 60, 60, 8.0, 9)
    complete = found(ndom)[0].columns
    ndom[:, 64:] = np.nan
    cut = found(ndom)[0]
    assert cut.corners[:, 0].max() <= WEST + 32.0
    assert cut.columns["score"][0] < 0.6 * complete["score"][0]


@pytest.mark.parametrize("empty", [np.nan, 0.0, -9999.0])
def test_a_surface_without_trees_gives_no_crowns(empty):
    crowns, structures = found(np.full((80, 80), empty, dtype=np.float32))
    assert (len(crowns.x), len(structures.x)) == (0, 0)


def test_every_outline_is_a_valid_polygon_around_its_top():
    random = np.random.default_rng(7)
    ndom = random.normal(8, 3, (160, 160)).clip(0).astype(np.float32)
    crowns, _ = found(ndom, min_crown_diameter=0.0)
    layer = crown_layer(crowns, np.full(len(crowns.x), None, dtype=object), "EPSG:25832")
    assert len(layer) > 100
    assert layer.is_valid.all()
    assert layer.exterior.is_ccw.all()
    assert np.allclose(layer.area, layer["area_m2"], atol=0.01)


def test_a_buffer_that_does_not_suffice_is_refused_with_the_one_that_does():
    with pytest.raises(InputDataError, match="at least 28 m"):
        Reach(Thresholds(), 0.5).check(20.0)


@pytest.mark.parametrize("cell", [0.05, 2.0])
def test_cells_too_fine_or_too_coarse_are_refused(cell):
    with pytest.raises(InputDataError, match="cell size not supported"):
        Reach(Thresholds(), cell)
