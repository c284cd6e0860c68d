"""Who uses which piece of land: fields, meadows, wood, hamlets and the roads between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from shapely.geometry import Polygon

from landscape_parts.frame import Frame, Rect

CROPS = ("wheat", "maize", "beet", "rape", "vegetables")
GRASS_USES = ("meadow", "orchard-meadow", "garden", "verge")


@dataclass
class Parcel:
    """A piece of land with one use; `turn` (0..1) gives every parcel a season of its own."""

    use: str
    rect: Rect
    outline: Polygon
    turn: float
    direction: float
    rotation: int = 0
    tags: dict[str, float] = field(default_factory=dict)

    def crop(self, year: int) -> str:
        """The crop of an arable parcel in `year`."""
        return CROPS[(self.rotation + year) % len(CROPS)]


@dataclass
class Layout:
    """Parcels in drawing order, roads last, and the hamlets' centres as (u, v)."""

    parcels: list[Parcel]
    hamlets: list[tuple[float, float]]


def lay_out(frame: Frame) -> Layout:
    """Split the area into parcels and give each a use."""
    rng = frame.stream("layout")
    half = frame.layout_half
    target = min(20_000.0, frame.size**2 / 9 + 3000)
    leaves: list[Rect] = []
    roads: list[Rect] = []
    _split(Rect(-half, -half, half, half), target, rng, leaves, roads)
    uses, hamlets = _uses(leaves, frame, rng)
    parcels = [new_parcel(frame, use, rect, rng) for rect, use in zip(leaves, uses, strict=True)]
    parcels += [new_parcel(frame, "road", road, rng) for road in roads]
    return Layout(parcels, hamlets)


def new_parcel(frame: Frame, use: str, rect: Rect, rng: np.random.Generator) -> Parcel:
    """A parcel of `use` on `rect`, with a season and a working direction of its own."""
    along = 0.0 if rect.width > rect.height else math.pi / 2
    return Parcel(
        use=use,
        rect=rect,
        outline=frame.outline(rect),
        turn=float(rng.uniform()),
        direction=frame.angle + along,
        rotation=int(rng.integers(len(CROPS))),
    )


def _split(
    rect: Rect, target: float, rng: np.random.Generator, leaves: list[Rect], roads: list[Rect]
) -> None:
    """Halve `rect` across its long side until it is about `target` square metres."""
    if rect.area < target * rng.uniform(0.9, 2.1):
        leaves.append(rect)
        return
    road = rect.area > 12 * target
    gap = 2.6 if road else 0.4
    share = float(rng.uniform(0.38, 0.62))
    if rect.width >= rect.height:
        cut = rect.u0 + share * rect.width
        parts = (
            Rect(rect.u0, rect.v0, cut - gap, rect.v1),
            Rect(cut + gap, rect.v0, rect.u1, rect.v1),
        )
        strip = Rect(cut - gap + 0.4, rect.v0 - 3, cut + gap - 0.4, rect.v1 + 3)
    else:
        cut = rect.v0 + share * rect.height
        parts = (
            Rect(rect.u0, rect.v0, rect.u1, cut - gap),
            Rect(rect.u0, cut + gap, rect.u1, rect.v1),
        )
        strip = Rect(rect.u0 - 3, cut - gap + 0.4, rect.u1 + 3, cut + gap - 0.4)
    if road:
        roads.append(strip)
    for part in parts:
        _split(part, target, rng, leaves, roads)


def _uses(
    leaves: list[Rect], frame: Frame, rng: np.random.Generator
) -> tuple[list[str], list[tuple[float, float]]]:
    """Wood and hamlets in clumps, meadows round the hamlets, the rest mostly arable."""
    uses = [""] * len(leaves)
    centres = np.array([leaf.centre for leaf in leaves])
    areas = np.array([leaf.area for leaf in leaves])
    square_km = max(0.4, frame.size**2 / 1e6)
    hamlets = []
    reach = frame.size / 2
    small = frame.size < 500  # wood and hamlet at the corners leave room for orchards
    for _ in range(max(1, round(0.8 * square_km))):
        spot = rng.uniform(-0.6 * reach, 0.6 * reach, 2)
        if small:
            spot = rng.choice([-1.0, 1.0], 2) * reach
        nearest = _grow(spot, centres, areas, uses, min(40_000.0, 0.05 * float(areas.sum())))
        for index in nearest:
            uses[index] = "hamlet"
        hamlets.append((float(spot[0]), float(spot[1])))
    for _ in range(max(1, round(0.9 * square_km))):
        spot = rng.uniform(-1.05 * reach, 1.05 * reach, 2)
        if small:
            spot = rng.choice([-1.0, 1.0], 2) * reach
        for index in _grow(spot, centres, areas, uses, min(130_000.0, 0.1 * float(areas.sum()))):
            uses[index] = "wood"
    distance = np.min([np.hypot(centres[:, 0] - u, centres[:, 1] - v) for u, v in hamlets], axis=0)
    for index in range(len(leaves)):
        if not uses[index]:
            near = math.exp(-float(distance[index]) / 450)
            uses[index] = "meadow" if rng.uniform() < 0.15 + 0.7 * near else "arable"
    return uses, hamlets


def _grow(
    spot: np.ndarray, centres: np.ndarray, areas: np.ndarray, uses: list[str], wanted: float
) -> list[int]:
    """The free leaves nearest to `spot` whose areas sum up to about `wanted` square metres."""
    order = np.argsort(np.hypot(*(centres - spot).T), kind="stable")
    chosen: list[int] = []
    total = 0.0
    for index in order:
        if total > wanted * 0.75:
            break
        if not uses[index]:
            chosen.append(int(index))
            total += float(areas[index])
    return chosen
