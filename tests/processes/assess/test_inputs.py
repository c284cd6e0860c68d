"""Dates, decisions, sources and plots from small inputs."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
from shapely.geometry import box, mapping

from processes.assess.evidence_image import leaf_on
from processes.assess.inventory import inventory_date, period_end, read_decisions
from processes.assess.plots import plots_of, trees_in
from processes.assess.provenance import Provenance
from processes.assess.registration import Registration
from processes.assess.thresholds import Thresholds
from processes.stage import InputDataError

CRS = pyproj.CRS("EPSG:25832")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2015-06-01", dt.date(2015, 6, 1)),
        ("2015-06-01T00:00:00", dt.date(2015, 6, 1)),
        ("2015", dt.date(2015, 12, 31)),
        ("2015-02", dt.date(2015, 2, 28)),
        (None, None),
        ("unknown", None),
    ],
)
def test_survey_date_is_read_to_its_last_possible_day(text: Any, expected: Any) -> None:
    assert inventory_date(text, None) == expected


def test_period_without_an_end_is_refused() -> None:
    assert period_end("2023-01-01/2023-12-31") == dt.date(2023, 12, 31)
    with pytest.raises(InputDataError, match="2023-01-01"):
        period_end("2023")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("object_id,verdict_human\na,confirmed\n", "decided"),
        ("object_id,verdict_human,decided\na,gone,2024-01-01\n", "gone"),
        ("object_id,verdict_human,decided\na,confirmed,soon\n", "soon"),
    ],
)
def test_faulty_decisions_are_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "decisions.csv"
    path.write_text(text)
    with pytest.raises(InputDataError, match=told):
        read_decisions(path)


def item(product: str, campaign: str | None, date: str | None, bounds: tuple[float, ...]) -> Any:
    return {
        "geometry": None,
        "properties": {
            "cdi:product": product,
            "cdi:acquisition": {"campaign": campaign, "date": date},
            "proj:code": "EPSG:25832",
            "proj:bbox": list(bounds),
        },
    }


WEST, EAST = (0.0, 0.0, 100.0, 100.0), (100.0, 0.0, 200.0, 100.0)


def test_object_across_two_flights_has_both_and_the_older_date() -> None:
    items = [item("ndom", "a", "2022-05-01", WEST), item("ndom", "b", "2020-05-01", EAST)]
    provenance = Provenance(items, CRS, None)
    across = provenance.of(box(90, 40, 110, 60))["surface"]
    assert (across.campaigns, across.since) == ({"a", "b"}, dt.date(2020, 5, 1))
    assert (across.shown, across.months) == ("2020-05-01", {5})
    assert provenance.of(box(10, 40, 30, 60))["surface"].campaigns == {"a"}
    assert provenance.of(box(300, 300, 310, 310)) == {}


def test_one_unknown_date_or_flight_makes_the_whole_unknown() -> None:
    items = [item("dop", "a", "2022-05-01", WEST), item("dop", None, None, EAST)]
    across = Provenance(items, CRS, None).of(box(90, 40, 110, 60))["image"]
    assert (across.campaigns, across.since, across.shown) == (frozenset(), None, None)


def test_sentinel2_shows_its_newest_used_date_and_compares_by_its_oldest() -> None:
    dates = ("2023-03-01", "2023-06-01", "2023-10-01")
    items = [item("sentinel-2-l2a", "s2", date, WEST) for date in dates]
    found = Provenance(items, CRS, {"2023-03-01", "2023-06-01"}).of(box(1, 1, 2, 2))["sentinel2"]
    assert (found.since, found.shown) == (dt.date(2023, 3, 1), "2023-06-01")


def test_image_of_a_year_shows_the_year_and_is_no_older_than_its_first_day() -> None:
    year = item("dop", "a", None, WEST)
    year["properties"] |= {"start_datetime": "2024-01-01T00:00:00Z", "end_datetime": "2024-12-31"}
    found = Provenance([year], CRS, None).of(box(1, 1, 2, 2))["image"]
    assert (found.since, found.shown) == (dt.date(2024, 1, 1), "2024")
    assert leaf_on(found.months, Thresholds()) is None


@pytest.mark.parametrize(("months", "leaves"), [({6, 7}, True), ({3}, False), ({4, 5}, None)])
def test_trees_have_leaves_when_they_have_in_all_months(months: set[int], leaves: Any) -> None:
    assert leaf_on(frozenset(months), Thresholds()) is leaves


def test_footprint_in_longitude_and_latitude_is_moved_into_the_crs() -> None:
    degrees = {
        "geometry": mapping(box(7.0, 51.0, 8.0, 52.0)),
        "properties": {"cdi:product": "dop", "datetime": "2022-05-01T00:00:00Z"},
    }
    provenance = Provenance([degrees], CRS, None)
    inside = provenance.of(box(400_000, 5_700_000, 400_100, 5_700_100))["image"]
    assert inside.shown == "2022-05-01"
    assert provenance.of(box(600_000, 5_700_000, 600_100, 5_700_100)) == {}


def grid(columns: int, rows: int, distance: float, east: float = 0.0) -> Any:
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    return np.column_stack([east + x.T.ravel() * distance, y.T.ravel() * distance])


def test_plot_of_a_grid_reaches_a_little_beyond_its_outermost_trees() -> None:
    (plot,) = plots_of(grid(4, 4, 15.0), 18.0, 12.0)
    # 45 m by 45 m of trees and 4 m around; between two trees of its edge the ground is drawn in.
    assert 45 * 45 < plot.area < 53 * 53
    assert trees_in(plot, grid(4, 4, 15.0)).all()


def test_plot_leaves_out_the_hedge_that_touches_it() -> None:
    orchard, hedge = grid(4, 4, 10.0), grid(10, 1, 6.0, east=40.0)
    tops = np.concatenate([orchard, hedge])
    (plot,) = plots_of(tops, 18.0, 12.0)
    assert trees_in(plot, tops).tolist()[:16] == [True] * 16
    assert trees_in(plot, hedge).sum() <= 1


def test_row_of_trees_has_no_plot() -> None:
    assert plots_of(grid(12, 1, 8.0), 18.0, 12.0) == []


def test_shift_is_the_median_of_what_was_measured_within_a_kilometre() -> None:
    measured = {
        "a": {"dx_m": 2.0, "dy_m": 0.0, "status": "shifted"},
        "b": {"dx_m": 2.2, "dy_m": 0.2, "status": "shifted"},
        "odd": {"dx_m": -1.0, "dy_m": -3.0, "status": "shifted"},
        "wild": {"dx_m": -5.0, "dy_m": 5.0, "status": "unreliable"},
        "far": {"dx_m": -9.0, "dy_m": -9.0, "status": "shifted"},
    }
    places = {"a": (0.0, 0.0), "b": (500.0, 0.0), "odd": (0.0, 500.0), "wild": (1.0, 1.0)}
    places["far"] = (5000.0, 0.0)
    found = Registration([{"registration": {"objects": measured}}], places)
    assert found.shift(10.0, 10.0, 1.5) == (2.0, 0.0)
    assert found.shift(10.0, 10.0, 2.5) == (0.0, 0.0)
    assert found.shift(20_000.0, 0.0, 1.5) == (0.0, 0.0)
    assert Registration([{}], places).shift(0.0, 0.0, 1.5) == (0.0, 0.0)
