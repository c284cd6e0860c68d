"""Finds room for objects on the land that is still free."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Polygon, box

from landscape_parts.frame import Frame, Rect
from landscape_parts.plan import Kind


def find_place(frame: Frame, rng: np.random.Generator, free: list[Rect], kind: Kind) -> Rect | None:
    """A free rectangle for an object wholly inside the area; None when there is no room left.

    What it takes is taken out of `free`.

    Where room is scarce the object is made smaller, down to three quarters of its usual extent.
    """
    (long_least, long_most), (short_least, short_most) = kind.sizes
    long = float(rng.uniform(long_least, long_most))
    short = float(rng.uniform(short_least, short_most))
    inside = box(*frame.bounds).buffer(-7)
    for shrink in (1.0, 0.87, 0.75):
        sides = (long * shrink, short * shrink)
        for index, rect in enumerate(free):
            for width, height in (sides, sides[::-1]):
                found = _place_in(frame, rng, rect, width, height, inside)
                if found is not None:
                    free[index : index + 1] = _remains(rect, found)
                    return found
    return None


def _place_in(
    frame: Frame, rng: np.random.Generator, rect: Rect, width: float, height: float, inside: Polygon
) -> Rect | None:
    """Try some places along `rect` at either of its long sides."""
    if rect.width < width or rect.height < height:
        return None
    for _ in range(5):
        u0 = rect.u0 + float(rng.uniform()) * (rect.width - width)
        v0 = rect.v0 + float(rng.choice([0.0, 1.0])) * (rect.height - height)
        found = Rect(u0, v0, u0 + width, v0 + height)
        if frame.outline(found).within(inside):
            return found
    return None


def _remains(rect: Rect, taken: Rect, gap: float = 14.0) -> list[Rect]:
    """What stays free of `rect` at `gap` metres from the `taken` part."""
    parts = [
        Rect(rect.u0, rect.v0, taken.u0 - gap, rect.v1),
        Rect(taken.u1 + gap, rect.v0, rect.u1, rect.v1),
        Rect(taken.u0, rect.v0, taken.u1, taken.v0 - gap),
        Rect(taken.u0, taken.v1 + gap, taken.u1, rect.v1),
    ]
    return [part for part in parts if part.width > 25 and part.height > 11]
