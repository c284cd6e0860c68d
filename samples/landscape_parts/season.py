"""The year of every land use: how much of the ground is green, dry or bare on a given day."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np

from landscape_parts.layout import Parcel

# Shares of green leaves and of dry matter by day of the year; what is missing to 1 is bare soil.
# Calendars of the Lower Rhine, rounded.
CROP_YEAR = {
    "wheat": (
        (
            (1, 0.25),
            (60, 0.35),
            (90, 0.6),
            (130, 0.95),
            (165, 0.85),
            (190, 0.15),
            (205, 0.02),
            (300, 0.05),
            (330, 0.2),
            (366, 0.25),
        ),
        ((165, 0.1), (190, 0.75), (202, 0.85), (208, 0.3), (240, 0.1), (280, 0)),
    ),
    "maize": (
        (
            (1, 0.02),
            (130, 0.03),
            (150, 0.2),
            (180, 0.85),
            (240, 0.9),
            (265, 0.5),
            (275, 0.03),
            (366, 0.05),
        ),
        ((255, 0.1), (270, 0.4), (276, 0.25), (310, 0.05)),
    ),
    "beet": (
        ((1, 0.02), (105, 0.03), (150, 0.5), (180, 0.92), (280, 0.85), (300, 0.05), (366, 0.03)),
        ((1, 0), (366, 0)),
    ),
    "rape": (
        (
            (1, 0.6),
            (90, 0.75),
            (120, 0.8),
            (170, 0.7),
            (190, 0.1),
            (205, 0.02),
            (245, 0.15),
            (300, 0.6),
            (366, 0.6),
        ),
        ((175, 0.2), (190, 0.7), (200, 0.8), (205, 0.3), (235, 0)),
    ),
    "vegetables": (
        (
            (1, 0.02),
            (100, 0.03),
            (120, 0.5),
            (140, 0.75),
            (160, 0.05),
            (185, 0.06),
            (215, 0.6),
            (250, 0.8),
            (270, 0.04),
            (366, 0.02),
        ),
        ((1, 0), (366, 0)),
    ),
}
CROP_FULL_HEIGHT = {"wheat": 0.8, "maize": 2.4, "beet": 0.5, "rape": 1.3, "vegetables": 0.4}
Cover = tuple[float, float, float]


def cover(parcel: Parcel, day: dt.date) -> Cover:
    """Shares (green, dry, soil) of the ground of `parcel` on `day`, without its trees."""
    number = day.timetuple().tm_yday
    if parcel.use == "arable":
        green_year, dry_year = CROP_YEAR[parcel.crop(day.year)]
        shifted = number + 16 * (parcel.turn - 0.5)
        green = float(np.interp(shifted, *_curve(green_year)))
        dry = float(np.interp(shifted, *_curve(dry_year), left=0, right=0))
        dry = min(dry, 1 - green)
        return green, dry, 1 - green - dry
    if parcel.use == "wood":
        leaves = 0.3 + 0.4 * leaf_on(number)
        return leaves, 0.9 - leaves, 0.1
    if parcel.use == "nursery-ground":
        green = 0.35 + 0.25 * leaf_on(number)
        return green, 0.15, 0.85 - green
    return _grass(parcel, day)


def _curve(points: tuple[tuple[int, float], ...]) -> tuple[list[int], list[float]]:
    return [number for number, _ in points], [share for _, share in points]


def leaf_on(number: int) -> float:
    """Share of its leaves that a deciduous tree carries on day `number` of the year."""
    out = 1 / (1 + math.exp(-(number - 118) / 6))
    fall = 1 / (1 + math.exp(-(number - 300) / 7))
    return out * (1 - fall)


def crop_height(shares: Cover, parcel: Parcel, day: dt.date) -> float:
    """Height of grass or crop in metres."""
    if parcel.use == "arable":
        return CROP_FULL_HEIGHT[parcel.crop(day.year)] * min(1.0, shares[0] + 0.9 * shares[1])
    return 0.05 if parcel.use in ("road", "yard", "garden") else 0.3 * shares[0]


def _grass(parcel: Parcel, day: dt.date) -> Cover:
    """Grass: green from April on, mown two to four times, pale in dry weeks of August."""
    number = day.timetuple().tm_yday
    green = 0.66 + 0.24 * math.exp(-(((number - 135) / 55) ** 2))
    green -= 0.16 * math.exp(-(((number - 222) / 26) ** 2)) * (0.5 + parcel.turn)
    cuts = (148, 205, 255) if parcel.use == "meadow" else (172, 248)
    for cut in cuts:
        since = number - cut - 18 * (parcel.turn - 0.5)
        if since >= 0:
            green -= 0.3 * math.exp(-since / 16)
    if parcel.tags.get("mown"):
        green -= 0.15
    green = min(0.95, max(0.38, green))
    return green, (1 - green) * 0.78, (1 - green) * 0.22
