"""One hand-made object for each rule; the table is the rules in short."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from processes.assess.evidence import Evidence, Image, Sentinel2, Source, Surface
from processes.assess.rules import UNCERTAIN_ORDER, decide
from processes.assess.thresholds import Thresholds

LIMITS = Thresholds()


def flown(group: str, campaign: str | None, day: str | None) -> Source:
    date = dt.date.fromisoformat(day) if day else None
    return Source(group, frozenset([campaign] if campaign else []), since=date, shown=day)


SOURCES = {
    "surface": flown("surface", "flight-1", "2021-06-01"),
    "image": flown("image", "flight-2", "2023-07-01"),
    "sentinel2": flown("sentinel2", "sentinel-2", "2023-03-01"),
}
ONE_FLIGHT = {**SOURCES, "image": flown("image", "flight-1", "2021-06-01")}
ORCHARD = Surface(
    share=1.0, trees=30, trees_per_ha=60.0, cover=0.3, height_p50=7.0, height_p90=9.0,
    spacing_m=11.0, clark_evans=1.4, row_width_m=50.0,
)  # fmt: skip
NO_TREES = Surface(share=1.0, trees=0, trees_per_ha=0.0, cover=0.0)
MEADOW = Image(
    1.0, ndvi_between=0.3, green_share=0.95, open_share=0.05, rough_share=0.3, leaf_on=True
)
EVEN_MEADOW = replace(MEADOW, rough_share=0.0)
BARE = Image(1.0, ndvi_between=-0.1, green_share=0.05, open_share=0.95, rough_share=0.3)
GRASS = Sentinel2(9.0, 9.0, 0.0, ndvi_p10=0.5, ndvi_p50=0.7, ndvi_p90=0.8)
FIELD = Sentinel2(9.0, 9.0, 2.0, ndvi_p10=0.1, ndvi_p50=0.4, ndvi_p90=0.8)
ROOF = Sentinel2(9.0, 9.0, 5.0, ndvi_p10=0.05, ndvi_p50=0.1, ndvi_p90=0.15)
BASE = Evidence(
    area_m2=5000.0, elongation=1.5, width_m=60.0, period_end=dt.date(2023, 12, 31),
    inventory_date=dt.date(2015, 6, 1), inventory_trees=40, surface=ORCHARD, image=MEADOW,
    sentinel2=GRASS, sources=SOURCES,
)  # fmt: skip


def surface(**changes: Any) -> dict[str, Any]:
    return {"surface": replace(ORCHARD, **changes)}


CLEARED: dict[str, Any] = {"surface": NO_TREES, "image": EVEN_MEADOW}

# what is told of it | evidence | verdict | rejected as | reasons among those given
CASES: list[tuple[str, dict[str, Any], str, str | None, set[str]]] = [
    ("an orchard", {}, "confirmed", None, {"trees-enough", "grassland-from-sentinel2"}),
    ("least trees", surface(trees=10), "confirmed", None, {"trees-enough"}),
    ("three to nine trees", surface(trees=9), "uncertain", None, {"trees-few"}),
    ("no trees, nobody else against", {"surface": NO_TREES}, "uncertain", None,
     {"trees-none", "one-source-only"}),
    ("too wide", surface(trees_per_ha=24.9), "uncertain", None, {"density-low"}),
    ("too dense", surface(trees_per_ha=151.0), "uncertain", None, {"density-high"}),
    ("too little cover", surface(cover=0.07), "uncertain", None, {"cover-low"}),
    ("too much cover", surface(cover=0.71), "uncertain", None, {"cover-high"}),
    ("a wood", surface(cover=0.9, height_p50=18.0), "uncertain", None,
     {"cover-high", "wood-signal"}),
    ("a plantation", surface(trees_per_ha=200.0, height_p90=3.5), "uncertain", None,
     {"density-high", "plantation-signal"}),
    ("a nursery", surface(trees_per_ha=450.0), "uncertain", None, {"plantation-signal"}),
    ("a hedge", {"width_m": 8.0}, "uncertain", None, {"elongated"}),
    ("a long strip", {"elongation": 6.0}, "uncertain", None, {"elongated"}),
    ("one row of trees", surface(row_width_m=2.0), "uncertain", None, {"elongated"}),
    ("a small area", {"area_m2": 1400.0}, "uncertain", None, {"too-small"}),
    ("grassland from the image", {"sentinel2": None}, "confirmed", None,
     {"grassland-from-image", "sentinel2-missing"}),
    ("few clear dates", {"sentinel2": replace(GRASS, clear_dates=2.0)}, "confirmed", None,
     {"grassland-from-image", "sentinel2-weak"}),
    ("few pixels", {"sentinel2": replace(FIELD, pixels=2.0)}, "confirmed", None,
     {"grassland-from-image", "sentinel2-weak"}),
    ("no infrared, no Sentinel-2",
     {"sentinel2": None, "image": Image(1.0, rough_share=0.3)}, "uncertain", None,
     {"no-grassland-signal", "one-source-only"}),
    ("yellow in a drought, as all around",
     {"sentinel2": replace(GRASS, ndvi_p50=0.35, reference_ndvi_p50=0.4)}, "confirmed", None,
     {"grassland-from-sentinel2"}),
    ("yellow while all around is green",
     {"sentinel2": replace(GRASS, ndvi_p50=0.35, reference_ndvi_p50=0.7)}, "uncertain", None,
     {"no-grassland-signal"}),
    ("no image", {"image": None}, "confirmed", None, {"image-missing"}),
    ("image of half of it", {"image": replace(MEADOW, share=0.5)}, "confirmed", None,
     {"image-missing"}),
    ("winter image", {"image": replace(MEADOW, leaf_on=False)}, "confirmed", None,
     {"image-leaf-off"}),
    ("image of unknown month", {"image": replace(MEADOW, leaf_on=None)}, "confirmed", None,
     {"image-season-unknown"}),
    ("nothing but trees", {"sentinel2": None, "image": None}, "uncertain", None,
     {"sentinel2-missing", "image-missing", "one-source-only"}),
    ("shifted", {"shift_m": 2.0}, "confirmed", None, {"registration-shift"}),
    ("no surface model", {"surface": None}, "uncertain", None, {"surface-missing"}),
    ("no surface model, field in two sources",
     {"surface": None, "image": BARE, "sentinel2": FIELD}, "rejected", "lost",
     {"arable-signal", "surface-missing"}),
    ("half outside the data", surface(share=0.5), "uncertain", None, {"geometry-outside-data"}),
    ("half outside the data and no trees in the rest",
     {"surface": replace(NO_TREES, share=0.5), "sentinel2": FIELD}, "uncertain", None,
     {"geometry-outside-data"}),
    ("old surface model",
     {"sources": {**SOURCES, "surface": flown("surface", "flight-1", "2019-06-01")}},
     "uncertain", None, {"surface-old"}),
    ("surface model of unknown date",
     {"sources": {**SOURCES, "surface": flown("surface", "flight-1", None)}},
     "uncertain", None, {"surface-date-unknown"}),
    ("trees on a field", {"sentinel2": FIELD}, "uncertain", None,
     {"sources-disagree", "arable-signal"}),
    ("trees between buildings", surface(structure_share=0.3), "uncertain", None,
     {"building-signal"}),
    ("trees before, ploughed after the flight", {"image": BARE, "sentinel2": FIELD},
     "rejected", "lost", {"arable-signal", "no-green-in-image"}),
    ("trees flown after others saw a field",
     {"image": BARE, "sentinel2": FIELD,
      "sources": {**SOURCES, "surface": flown("surface", "flight-3", "2023-08-01")}},
     "uncertain", None, {"sources-disagree"}),
    ("cleared to a field", {"surface": NO_TREES, "sentinel2": FIELD}, "rejected", "lost",
     {"trees-none", "arable-signal"}),
    ("two trees left on a field",
     {"surface": replace(ORCHARD, trees=2, trees_per_ha=4.0), "sentinel2": FIELD},
     "rejected", "lost", {"trees-few", "arable-signal"}),
    ("built over", {"surface": replace(NO_TREES, structure_share=0.4), "sentinel2": ROOF},
     "rejected", "lost", {"building-signal"}),
    ("cleared to a meadow, seen from two flights", CLEARED, "rejected", "lost",
     {"trees-none", "no-trees-in-image"}),
    ("cleared to a meadow, seen from one flight", {**CLEARED, "sources": ONE_FLIGHT},
     "uncertain", None, {"one-source-only", "sources-not-independent"}),
    ("flights unknown",
     {**CLEARED, "sources": {**SOURCES, "image": flown("image", None, "2023-07-01")}},
     "uncertain", None, {"sources-not-independent"}),
    ("trees and grass of one flight", {"sentinel2": None, "sources": ONE_FLIGHT},
     "uncertain", None, {"one-source-only", "sources-not-independent", "sentinel2-missing"}),
    ("inventory newer than the flight",
     {**CLEARED, "inventory_date": dt.date(2022, 1, 1)}, "uncertain", None,
     {"not-newer-than-inventory"}),
    ("inventory of the same day",
     {**CLEARED, "inventory_date": dt.date(2021, 6, 1)}, "uncertain", None,
     {"not-newer-than-inventory"}),
    ("inventory of unknown date", {**CLEARED, "inventory_date": None}, "uncertain", None,
     {"inventory-date-unknown"}),
    ("never had trees", {**CLEARED, "inventory_trees": 1}, "rejected", "never-an-orchard", set()),
    ("a plantation by its code", {**CLEARED, "code": "HK4"}, "rejected", "never-an-orchard",
     set()),
    ("an orchard by its code", {**CLEARED, "code": "HK2"}, "rejected", "lost", set()),
    ("young trees", {**CLEARED, "surface": replace(NO_TREES, low_growth_share=0.05)},
     "rejected", "not-detectable", set()),
    ("low crops on a field",
     {"surface": replace(NO_TREES, low_growth_share=0.05), "sentinel2": FIELD},
     "rejected", "lost", set()),
    ("the orchard stands beside it",
     {**CLEARED, "surface": replace(NO_TREES, trees_nearby=20, density_nearby=70.0)},
     "rejected", "geometry-wrong", {"trees-nearby"}),
    ("a much smaller orchard stands beside it",
     {**CLEARED, "surface": replace(NO_TREES, trees_nearby=12, density_nearby=70.0)},
     "rejected", "lost", set()),
    ("cleared after the flight, a later image shows an even meadow", {"image": EVEN_MEADOW},
     "uncertain", None, {"sources-disagree", "no-trees-in-image", "trees-enough"}),
    ("an even image older than the trees",
     {"image": EVEN_MEADOW,
      "sources": {**SOURCES, "image": flown("image", "flight-0", "2020-07-01")}},
     "confirmed", None, {"trees-enough"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "verdict", "rejected_as", "reasons"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_rule(
    changes: dict[str, Any], verdict: str, rejected_as: str | None, reasons: set[str]
) -> None:
    decision = decide(replace(BASE, **changes), LIMITS)
    assert (decision.verdict, decision.rejected_as) == (verdict, rejected_as)
    assert reasons <= set(decision.reasons)
    assert len(set(decision.reasons)) == len(decision.reasons)
    assert decision.reason_main == decision.reasons[0]
    assert 0.0 <= decision.confidence <= 1.0


def test_every_reason_has_a_case() -> None:
    given = {code for case in CASES for code in decide(replace(BASE, **case[1]), LIMITS).reasons}
    assert given == set(UNCERTAIN_ORDER)


def test_main_reason_of_an_uncertain_object_is_what_stops_it() -> None:
    decision = decide(replace(BASE, sentinel2=None, **surface(trees=5)), LIMITS)
    assert decision.reason_main == "trees-few"


def test_every_threshold_of_the_verdict_is_asked() -> None:
    stricter = replace(LIMITS, min_trees=31)
    assert decide(BASE, LIMITS).verdict == "confirmed"
    assert decide(BASE, stricter).verdict == "uncertain"


def test_confidence_grows_with_margin_and_with_agreeing_sources() -> None:
    # 30 trees, 60/ha, cover 0.3: least margin (60 - 25) / 62.5 = 0.56; all three sources agree.
    assert decide(BASE, LIMITS).confidence == pytest.approx(0.5 + 0.5 * 0.56)
    two = decide(replace(BASE, image=None), LIMITS)
    assert two.confidence == pytest.approx(2 / 3 * (0.5 + 0.5 * 0.56), abs=0.001)
    on_limit = decide(replace(BASE, **surface(trees=10)), LIMITS)
    assert on_limit.confidence == 0.5


def test_confidence_of_an_uncertain_object_is_half_its_share_of_sources() -> None:
    one = replace(BASE, sentinel2=None, sources=ONE_FLIGHT)
    assert decide(one, LIMITS).confidence == pytest.approx(0.5 / 3, abs=0.001)


def test_each_source_says_what_it_supports() -> None:
    decision = decide(replace(BASE, sentinel2=FIELD, image=None), LIMITS)
    assert decision.supports == {"surface": "orchard", "sentinel2": "no-orchard"}
