"""What people put up: houses, barns, sheds, solar panels, and hay bales that lie for some days."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np

from landscape_parts.frame import Frame, Rect
from landscape_parts.trees import ALWAYS, scatter

# Colours in an orthophoto: red, green, blue, near infrared (0..255).
ROOFS = {
    "red": (158, 98, 80, 138),
    "dark": (92, 88, 88, 92),
    "brown": (128, 96, 80, 118),
    "metal": (176, 178, 178, 150),
    "fibre": (148, 146, 138, 132),
}
PANEL = (52, 58, 84, 50)
BALE = (188, 170, 112, 172)


@dataclass(frozen=True)
class Solid:
    """A box with a roof: centre in world metres, `length` along `angle`, heights in metres.

    `form`: gable (ridge along `angle`), flat, tilt (rises across) or round (a bale).
    """

    form: str
    x: float
    y: float
    length: float
    width: float
    angle: float
    eave: float
    ridge: float
    colour: tuple[int, int, int, int]
    kind: str
    first: int = ALWAYS[0]
    last: int = ALWAYS[1]


def house(
    frame: Frame, rng: np.random.Generator, place: tuple[float, float], owner_kind: str = "house"
) -> list[Solid]:
    """A dwelling house with a garage at layout `place`."""
    colour = ROOFS[str(rng.choice(["red", "red", "dark", "brown"]))]
    length, width = rng.uniform(10, 15), rng.uniform(8, 10.5)
    eave = rng.uniform(3.5, 6)
    solids = [
        _solid(
            frame,
            rng,
            "gable",
            place,
            (length, width),
            (eave, eave + width * 0.4),
            colour,
            owner_kind,
        )
    ]
    if rng.uniform() < 0.6:
        beside = (place[0] + length * 0.5 + 4, place[1] - 3)
        solids.append(
            _solid(frame, rng, "flat", beside, (6.5, 3.5), (2.7, 2.7), ROOFS["fibre"], "garage")
        )
    return solids


def farm(frame: Frame, rng: np.random.Generator, rect: Rect) -> list[Solid]:
    """A farmhouse and barns round a yard in the middle of `rect`."""
    u, v = rect.centre
    solids = house(frame, rng, (u - 14, v + 12), "farmhouse")
    barns = [((u + 12, v + 14), 0.0), ((u + 20, v - 12), math.pi / 2), ((u - 16, v - 16), 0.0)]
    for place, turn in barns[: int(rng.integers(2, 4))]:
        roof = str(rng.choice(["metal", "fibre", "red", "brown"]))
        size = (float(rng.uniform(18, 30)), float(rng.uniform(11, 15)))
        eave = float(rng.uniform(4, 5.5))
        solids.append(
            _solid(
                frame,
                rng,
                "gable",
                place,
                size,
                (eave, eave + 0.22 * size[1]),
                ROOFS[roof],
                "barn",
                turn,
            )
        )
    return solids


def estate(frame: Frame, rng: np.random.Generator, rect: Rect) -> list[Solid]:
    """New houses in a row at either side of a street along the middle of `rect`."""
    u, v = rect.centre
    wide = rect.width >= rect.height
    solids: list[Solid] = []
    for side in (-13.0, 13.0):
        for step in np.arange(11.0, max(rect.width, rect.height) - 8, 18.0):
            place = (rect.u0 + step, v + side) if wide else (u + side, rect.v0 + step)
            solids += house(frame, rng, place)
    return solids


def solar_park(frame: Frame, rng: np.random.Generator, rect: Rect) -> list[Solid]:
    """Rows of tilted panels, 6.5 m apart."""
    solids = []
    length = rect.width - 8
    for v in np.arange(rect.v0 + 5, rect.v1 - 3, 6.5):
        pieces = max(1, round(length / 24))
        for piece in range(pieces):
            u = rect.u0 + 4 + (piece + 0.5) * length / pieces
            size = (length / pieces - 0.6, 3.6)
            solids.append(
                _solid(frame, rng, "tilt", (u, float(v)), size, (0.8, 2.5), PANEL, "panel")
            )
    return solids


def bales(frame: Frame, rng: np.random.Generator, rect: Rect, day: dt.date) -> list[Solid]:
    """Round bales on a mown meadow that lie there about the date of one flight only."""
    days = (day.toordinal() - 3, day.toordinal() + 3)
    return [
        _solid(
            frame,
            rng,
            "round",
            (float(u), float(v)),
            (1.5, 1.5),
            (1.35, 1.35),
            BALE,
            "bale",
            days=days,
        )
        for u, v in scatter(rect.inset(5), rng, 19.0)
    ]


def standing(solids: list[Solid], day: dt.date) -> list[Solid]:
    """The solids that stand on `day`."""
    return [solid for solid in solids if solid.first <= day.toordinal() < solid.last]


def _solid(
    frame: Frame,
    rng: np.random.Generator,
    form: str,
    place: tuple[float, float],
    size: tuple[float, float],
    heights: tuple[float, float],
    colour: tuple[int, int, int, int],
    kind: str,
    turn: float = 0.0,
    days: tuple[int, int] = ALWAYS,
) -> Solid:
    x, y = frame.to_world(np.array([place[0]]), np.array([place[1]]))
    along_x, along_y = frame.to_world(np.array([place[0] + 1]), np.array([place[1]]))
    angle = math.atan2(float(along_y[0] - y[0]), float(along_x[0] - x[0]))
    tone = float(rng.uniform(0.9, 1.08))
    red, green, blue, infrared = (min(255, int(value * tone)) for value in colour)
    return Solid(
        form,
        float(x[0]),
        float(y[0]),
        float(size[0]),
        float(size[1]),
        angle + turn,
        float(heights[0]),
        float(heights[1]),
        (red, green, blue, infrared),
        kind,
        *days,
    )
