"""Trees and how people and nature set them: grids with gaps, rows, hedges, woods, plantations."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np

from landscape_parts.frame import Array, Frame, Rect

# The order gives every kind its number in rasters and in the table of trees.
KINDS = (
    "fruit",
    "broadleaf",
    "conifer",
    "shrub",
    "plantation-fruit",
    "christmas-tree",
    "nursery-tree",
)
TREE = np.dtype(
    [
        ("x", "f8"),
        ("y", "f8"),
        ("height", "f4"),
        ("crown", "f4"),  # diameter in metres
        ("kind", "u1"),
        ("turn", "f4"),  # 0..1, what makes one tree differ from its like
        ("object", "i4"),  # number of the planned object it belongs to, -1: none
        ("first", "i4"),  # days (proleptic ordinal) from and until which it stands
        ("last", "i4"),
    ]
)
ALWAYS = (dt.date(1900, 1, 1).toordinal(), dt.date(2100, 1, 1).toordinal())


def make_trees(
    frame: Frame,
    rng: np.random.Generator,
    places: Array,
    kind: str,
    crown: Array,
    height: Array,
    owner: int = -1,
) -> Array:
    """Trees at layout `places` (n, 2) with crown diameters and heights in metres."""
    trees = np.zeros(len(places), TREE)
    trees["x"], trees["y"] = frame.to_world(places[:, 0], places[:, 1])
    trees["crown"], trees["height"] = crown, height
    trees["kind"] = KINDS.index(kind)
    trees["turn"] = rng.uniform(0, 1, len(places))
    trees["object"] = owner
    trees["first"], trees["last"] = ALWAYS
    return trees


def grid(
    rect: Rect,
    rng: np.random.Generator,
    spacing: tuple[float, float],
    wobble: float,
    gaps: float = 0.0,
) -> Array:
    """Places (n, 2) on a grid: `spacing` across and along in metres, `gaps` the share missing.

    Gaps come in clumps as trees die beside dead ones, half of them at random.
    """
    across, along = spacing
    u = np.arange(rect.u0 + across * 0.5, rect.u1, across)
    v = np.arange(rect.v0 + along * 0.5, rect.v1, along)
    places = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
    places = places + rng.normal(0, wobble, places.shape)
    if gaps <= 0 or not len(places):
        return places
    lost = rng.uniform(size=len(places)) < gaps / 2
    reach = max(across, along) * 1.6
    while lost.mean() < gaps:
        spot = places[rng.integers(len(places))]
        lost |= np.hypot(*(places - spot).T) < reach * rng.uniform(0.4, 1.0)
    return places[~lost]


def scatter(rect: Rect, rng: np.random.Generator, spacing: float) -> Array:
    """Places (n, 2) without pattern, about `spacing` metres apart."""
    wanted = max(1, int(rect.area / spacing**2))
    columns = max(1, round(math.sqrt(wanted * rect.width / max(rect.height, 0.1))))
    rows = max(1, math.ceil(wanted / columns))
    cells = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    inside = (cells + rng.uniform(0.08, 0.92, cells.shape)) / (columns, rows)
    return np.column_stack(
        [rect.u0 + inside[:, 0] * rect.width, rect.v0 + inside[:, 1] * rect.height]
    )


def line(rect: Rect, rng: np.random.Generator, spacing: float, wobble: float) -> Array:
    """Places (n, 2) in one row along the longer axis of `rect`."""
    long = max(rect.width, rect.height)
    steps = np.arange(spacing / 2, long, spacing)
    u, v = rect.centre
    if rect.width >= rect.height:
        places = np.column_stack([rect.u0 + steps, np.full(len(steps), v)])
    else:
        places = np.column_stack([np.full(len(steps), u), rect.v0 + steps])
    return places + rng.normal(0, wobble, places.shape)


def orchard(frame: Frame, rng: np.random.Generator, rect: Rect, age: str, owner: int) -> Array:
    """Standard fruit trees of one `age`: old, mature, young or mixed."""
    inner = rect.inset(1.5)
    if age == "old":
        places = grid(inner, rng, tuple(rng.uniform(9.5, 11.5, 2)), 1.0, rng.uniform(0.15, 0.35))
        crown = np.clip(rng.normal(8.0, 1.5, len(places)), 4.5, 12)
    elif age == "mature":
        places = grid(inner, rng, tuple(rng.uniform(9.0, 10.5, 2)), 0.4, rng.uniform(0.02, 0.1))
        crown = np.clip(rng.normal(6.3, 0.9, len(places)), 4, 8.5)
    elif age == "young":
        places = grid(inner, rng, tuple(rng.uniform(8.5, 10.0, 2)), 0.25, 0.03)
        crown = np.clip(rng.normal(2.7, 0.6, len(places)), 1.5, 4)
    else:
        places = grid(inner, rng, (10.0, 10.0), 0.7, 0.08)
        replanted = rng.uniform(size=len(places)) < 0.4
        crown = np.where(
            replanted, rng.uniform(1.6, 3.4, len(places)), rng.normal(8.0, 1.2, len(places))
        )
        crown = np.clip(crown, 1.5, 11)
    height = 1.9 + 0.62 * crown + rng.normal(0, 0.5, len(places))
    pears = (rng.uniform(size=len(places)) < 0.06) & (crown > 5)
    height = np.where(pears, height + rng.uniform(2, 5, len(places)), height)
    return make_trees(frame, rng, places, "fruit", crown, np.clip(height, 2.2, 16), owner)


def wood(
    frame: Frame, rng: np.random.Generator, rect: Rect, conifers: float, tall: float, owner: int
) -> Array:
    """A closed stand about `tall` metres high; `conifers` is their share."""
    spacing = 3.1 + 0.14 * tall
    places = scatter(rect.inset(2), rng, spacing)
    needles = rng.uniform(size=len(places)) < conifers
    crown = np.where(
        needles,
        rng.normal(0.95 * spacing, 0.5, len(places)),
        rng.normal(1.35 * spacing, 0.9, len(places)),
    )
    height = np.clip(rng.normal(tall, 0.12 * tall, len(places)), 0.4 * tall, 1.4 * tall)
    trees = make_trees(frame, rng, places, "broadleaf", np.clip(crown, 2, 14), height, owner)
    trees["kind"][needles] = KINDS.index("conifer")
    return trees


def hedge(frame: Frame, rng: np.random.Generator, rect: Rect, owner: int) -> Array:
    """Shrubs close together, a tree now and then."""
    places = line(rect, rng, 1.4, 0.5)
    crown = rng.uniform(2.0, 3.8, len(places))
    height = 1.6 + 0.7 * crown * rng.uniform(0.7, 1.2, len(places))
    shrubs = make_trees(frame, rng, places, "shrub", crown, height, owner)
    standards = line(rect, rng, 24.0, 1.0)
    standards = standards[rng.uniform(size=len(standards)) < 0.6]
    size = rng.uniform(5, 9, len(standards))
    return np.concatenate(
        [
            shrubs,
            make_trees(frame, rng, standards, "broadleaf", size, size + 3.5, owner),
        ]
    )


def tree_row(frame: Frame, rng: np.random.Generator, rect: Rect, owner: int) -> Array:
    """One row of tall trees, as along a lane."""
    places = line(rect, rng, float(rng.uniform(8, 11)), 0.4)
    crown = np.clip(rng.normal(7.5, 1.0, len(places)), 5, 10)
    height = crown + rng.uniform(3, 7, len(places))
    return make_trees(frame, rng, places, "broadleaf", crown, height, owner)


def plantation(frame: Frame, rng: np.random.Generator, rect: Rect, owner: int) -> Array:
    """Dwarf fruit trees, 1-1.5 m apart in rows 3-4 m apart, lower than 4 m."""
    spacing = (float(rng.uniform(3.2, 3.8)), float(rng.uniform(1.1, 1.4)))
    places = grid(rect.inset(1.5), rng, spacing, 0.06, 0.01)
    crown = rng.uniform(1.1, 1.6, len(places))
    height = np.clip(rng.normal(3.1, 0.2, len(places)), 2.4, 3.8)
    return make_trees(frame, rng, places, "plantation-fruit", crown, height, owner)


def christmas_trees(frame: Frame, rng: np.random.Generator, rect: Rect, owner: int) -> Array:
    """Small conifers in narrow rows, all of one age."""
    places = grid(rect.inset(1.5), rng, (1.5, 1.5), 0.08, 0.02)
    crown = rng.uniform(1.1, 1.6, len(places))
    height = np.clip(rng.normal(2.4, 0.25, len(places)), 1.4, 3.2)
    return make_trees(frame, rng, places, "christmas-tree", crown, height, owner)


def nursery(frame: Frame, rng: np.random.Generator, rect: Rect, owner: int) -> Array:
    """Young avenue trees in rows, waiting to be sold."""
    places = grid(rect.inset(1.5), rng, (2.6, 1.8), 0.08, 0.08)
    crown = rng.uniform(1.2, 2.0, len(places))
    height = np.clip(rng.normal(4.2, 0.7, len(places)), 2.5, 6)
    return make_trees(frame, rng, places, "nursery-tree", crown, height, owner)


def garden(frame: Frame, rng: np.random.Generator, rect: Rect, owner: int) -> Array:
    """Trees and shrubs of all sizes without order."""
    places = scatter(rect.inset(1), rng, 7.5)
    kinds = rng.choice(4, len(places), p=[0.3, 0.25, 0.15, 0.3])
    crown = rng.uniform(1.5, 7.5, len(places))
    trees = make_trees(frame, rng, places, "shrub", crown, 1.2 + 0.8 * crown, owner)
    trees["kind"] = kinds
    needles = kinds == KINDS.index("conifer")
    trees["crown"][needles] *= 0.6
    trees["height"][needles] += 4
    low = kinds == KINDS.index("shrub")
    trees["crown"][low] = np.clip(trees["crown"][low], 1, 3)
    trees["height"][low] = np.clip(trees["height"][low], 1, 3)
    return trees
