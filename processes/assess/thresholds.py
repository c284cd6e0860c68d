"""Every figure that a verdict depends on, in one place, so that it can be shown beside the verdict.

The same names and defaults stand in ``process.cwl``; a test compares them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any


def _threshold(default: float, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Thresholds:
    """Limits of the rules; the help text of each holds its unit."""

    # trees and plot
    min_trees: int = _threshold(10, "Trees that make an orchard [trees]")
    max_trees_rejected: int = _threshold(2, "Up to so many trees speak against one [trees]")
    min_density: float = _threshold(25.0, "Lowest stand density [trees/ha]")
    max_density: float = _threshold(150.0, "Highest stand density [trees/ha]")
    min_cover: float = _threshold(0.08, "Lowest crown cover [share of the area]")
    max_cover: float = _threshold(0.70, "Highest crown cover [share of the area]")
    min_area: float = _threshold(1500.0, "Smallest area of an object [m2]")
    max_elongation: float = _threshold(5.0, "Longest shape, length over width [ratio]")
    min_width: float = _threshold(12.0, "Narrowest shape [m]")
    min_row_width: float = _threshold(6.0, "Trees in a narrower strip are one row [m]")
    wood_height: float = _threshold(15.0, "Closed stands of this median height are wood [m]")
    plantation_height: float = _threshold(4.0, "Dense stands below this height are planted [m]")
    plantation_density: float = _threshold(400.0, "Density of a plantation [trees/ha]")
    max_structure_share: float = _threshold(0.1, "Built share that speaks against [share]")
    nearby_distance: float = _threshold(30.0, "Search for a misplaced orchard around [m]")
    min_height: float = _threshold(2.5, "Lowest tree height, as in detection [m]")
    min_low_growth: float = _threshold(0.02, "Growth of 1 m to min-height: young trees [share]")
    # data
    min_data_share: float = _threshold(0.9, "Share of the object that data must cover [share]")
    max_surface_age: float = _threshold(4.0, "Oldest surface model before the period's end [years]")
    max_shift: float = _threshold(1.5, "Shift of surface against image that is noted [m]")
    # image
    min_crown_ndvi: float = _threshold(0.1, "Crowns below are no trees, leaf-on image [raw NDVI]")
    max_flatness: float = _threshold(0.95, "Without NDVI, flatter crowns are no trees [0-1]")
    min_image_ndvi: float = _threshold(0.1, "Green ground in the image from [raw NDVI]")
    min_green_share: float = _threshold(0.6, "Green share between crowns: grassland [share]")
    max_open_share: float = _threshold(0.6, "Ground without green that speaks against [share]")
    min_roughness: float = _threshold(15.0, "Contrast of crowns and shadows in 2.5 m [grey levels]")
    max_rough_share: float = _threshold(0.02, "Below, the image shows no trees [share]")
    leaf_on_from: int = _threshold(5, "First month with leaves [month]")
    leaf_on_to: int = _threshold(10, "Last month with leaves [month]")
    # Sentinel-2
    min_clear_dates: int = _threshold(3, "Clear Sentinel-2 dates needed [dates]")
    min_pixels: float = _threshold(4.0, "Sentinel-2 pixels needed inside the object [pixels]")
    min_grass_ndvi: float = _threshold(0.45, "Grassland's yearly median NDVI from [NDVI]")
    max_grass_difference: float = _threshold(0.15, "Or at most so far below near grassland [NDVI]")
    min_bare_dates: int = _threshold(1, "Dates with bare soil that mean arable land [dates]")
    building_ndvi: float = _threshold(0.5, "Sealed ground: highest NDVI below [NDVI]")
    building_range: float = _threshold(0.2, "Sealed ground: yearly range below [NDVI]")
    # candidates
    candidate_min_area: float = _threshold(2500.0, "Smallest candidate [m2]")
    candidate_link: float = _threshold(20.0, "Trees up to so far apart belong together [m]")
    candidate_house_distance: float = _threshold(15.0, "Ground nearer to a building is garden [m]")
    candidate_max_height: float = _threshold(18.0, "Tallest tree of a candidate [m]")

    def as_dict(self) -> dict[str, float]:
        """Return name -> value, in the order written above."""
        return asdict(self)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` one option per threshold: ``min_trees`` becomes ``--min-trees``."""
    group = parser.add_argument_group("thresholds")
    for name, default, text in _entries():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default),
            default=default,
            help=f"{text.replace('%', '%%')}, default {default:g}",
        )


def from_options(args: argparse.Namespace) -> Thresholds:
    """Return the thresholds that the command line gave."""
    return Thresholds(**{name: getattr(args, name) for name, _, _ in _entries()})


def _entries() -> Iterator[tuple[str, Any, str]]:
    for entry in fields(Thresholds):
        yield entry.name, entry.default, entry.metadata["help"]
