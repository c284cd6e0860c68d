"""The objects of the bench: what stands where, and what the old inventory says about it.

`expected` is what a careful person would decide who knows the truth and holds the three data sets
of the bench (surface, image, Sentinel-2); it is empty where even they would hesitate.
"""

from __future__ import annotations

from dataclasses import dataclass

from shapely.geometry import Polygon

from landscape_parts.frame import Rect


@dataclass(frozen=True)
class Kind:
    """One kind of object: `sizes` are (least, most) metres along and across.

    `inventory`: it is in the old inventory. `state`: orchard, lost, never, changed or other.
    `expected`: confirmed, rejected, uncertain or "" where it cannot be said; `acceptable` names
    further verdicts that are no error, separated by a bar.
    """

    name: str
    inventory: bool
    sizes: tuple[tuple[float, float], tuple[float, float]]
    state: str
    expected: str = ""
    rejected_as: str = ""
    acceptable: str = ""
    note: str = ""


@dataclass
class PlannedObject:
    """One object of the bench: its number, kind, place and true outline (world)."""

    number: int
    kind: Kind
    rect: Rect
    outline: Polygon
    object_id: str = ""
    name: str = ""


PLOT = ((62.0, 95.0), (48.0, 72.0))
INVENTORY = {
    kind.name: kind
    for kind in (
        Kind("orchard-old", True, PLOT, "orchard", "confirmed", note="half-regular, with gaps"),
        Kind("orchard-mature", True, PLOT, "orchard", "confirmed", note="regular, few gaps"),
        Kind("orchard-mixed", True, PLOT, "orchard", "confirmed", note="old trees, replanted"),
        Kind(
            "orchard-young",
            True,
            PLOT,
            "orchard",
            "",
            acceptable="confirmed|uncertain",
            note="crowns of 1.5-4 m, under-represented in the surface model",
        ),
        Kind("orchard-thinned", True, PLOT, "orchard", "uncertain", note="five trees are left"),
        Kind(
            "orchard-small",
            True,
            ((34.0, 40.0), (28.0, 33.0)),
            "orchard",
            "uncertain",
            acceptable="confirmed",
            note="smaller than 0.15 ha",
        ),
        Kind(
            "cleared-to-meadow",
            True,
            PLOT,
            "lost",
            "rejected",
            "lost",
            "uncertain",
            "cleared before both flights; grass now",
        ),
        Kind(
            "cleared-to-arable",
            True,
            PLOT,
            "lost",
            "rejected",
            "lost",
            note="cleared before both flights; ploughed now",
        ),
        Kind(
            "built-over",
            True,
            ((70.0, 95.0), (52.0, 70.0)),
            "lost",
            "rejected",
            "lost",
            note="houses stand there now",
        ),
        Kind(
            "solar-over-orchard",
            True,
            PLOT,
            "lost",
            "rejected",
            "lost",
            "uncertain",
            "solar panels stand there now",
        ),
        Kind(
            "overgrown",
            True,
            PLOT,
            "changed",
            "uncertain",
            acceptable="rejected",
            note="succession: closed wood grew over the orchard",
        ),
        Kind(
            "cleared-after-surface",
            True,
            PLOT,
            "lost",
            "uncertain",
            acceptable="rejected",
            note="trees stood at the surface flight, not at the image flight",
        ),
        Kind(
            "never-hedge",
            True,
            ((95.0, 120.0), (11.0, 13.0)),
            "never",
            "uncertain",
            "never-an-orchard",
            "rejected",
            "always was a double hedge",
        ),
        Kind(
            "never-meadow",
            True,
            PLOT,
            "never",
            "rejected",
            "never-an-orchard",
            "uncertain",
            "a meadow that never held a tree",
        ),
        Kind(
            "never-plantation",
            True,
            PLOT,
            "never",
            "",
            "never-an-orchard",
            "rejected|uncertain",
            "always was a plantation of dwarf trees",
        ),
    )
}
OTHER = {
    kind.name: kind
    for kind in (
        Kind("candidate-orchard", False, PLOT, "orchard", note="the inventory lacks it"),
        Kind("plantation", False, PLOT, "other"),
        Kind("christmas-trees", False, ((45.0, 65.0), (40.0, 55.0)), "other"),
        Kind("nursery", False, ((45.0, 65.0), (40.0, 55.0)), "other"),
        Kind("solar-park", False, ((70.0, 110.0), (50.0, 70.0)), "other"),
        Kind("bales", False, PLOT, "other", note="lie there at the surface flight only"),
        Kind("bales-image", False, PLOT, "other", note="lie there at the image flight only"),
        Kind("park", False, ((55.0, 80.0), (45.0, 60.0)), "other", note="mixed trees on lawn"),
        Kind("farm", False, ((75.0, 90.0), (65.0, 75.0)), "other"),
    )
}
# The first ones make sure that even a small bench holds the main cases; further objects are drawn
# with the weights, about three quarters of them orchards that are still there.
FIRST = (
    "orchard-old",
    "cleared-to-meadow",
    "orchard-mature",
    "built-over",
    "orchard-young",
    "cleared-to-arable",
    "overgrown",
    "never-hedge",
    "orchard-mixed",
    "cleared-after-surface",
    "orchard-old",
    "never-meadow",
    "orchard-thinned",
    "orchard-small",
    "orchard-mature",
    "solar-over-orchard",
    "never-plantation",
)
WEIGHTS = {
    "orchard-old": 26,
    "orchard-mature": 24,
    "orchard-mixed": 16,
    "orchard-young": 8,
    "orchard-thinned": 3,
    "orchard-small": 3,
    "cleared-to-meadow": 4,
    "cleared-to-arable": 4,
    "built-over": 4,
    "solar-over-orchard": 1,
    "overgrown": 3,
    "cleared-after-surface": 1,
    "never-hedge": 1,
    "never-meadow": 1,
    "never-plantation": 1,
}
OTHER_FIRST = (
    "candidate-orchard",
    "farm",
    "plantation",
    "bales",
    "christmas-trees",
    "solar-park",
    "nursery",
    "bales-image",
    "park",
)
