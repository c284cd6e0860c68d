"""The verdict on one object: a pure function of its evidence and the thresholds.

``docs/verdicts.md`` states the rules in words; the tests hold one hand-made case for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from processes.assess.confidence import confidence_of
from processes.assess.evidence import Evidence
from processes.assess.independence import GROUPS, independent, separate
from processes.assess.thresholds import Thresholds
from processes.assess.votes import (
    Votes,
    cast,
    complete_image,
    complete_surface,
    strong_sentinel2,
)

CONFIRMED, REJECTED, UNCERTAIN = "confirmed", "rejected", "uncertain"
ORCHARD_CODES = ("HK1", "HK2", "HK3")

# The first of an object's reasons in this order is its main one: what stops a verdict comes
# before what qualifies it, what was seen before what is missing.
UNCERTAIN_ORDER = (
    "surface-missing", "geometry-outside-data", "sources-disagree", "building-signal",
    "arable-signal", "trees-none", "trees-few", "wood-signal", "plantation-signal", "cover-high",
    "density-high", "density-low", "cover-low", "elongated", "too-small", "trees-nearby",
    "surface-old", "surface-date-unknown", "no-grassland-signal", "no-green-in-image",
    "no-trees-in-image", "one-source-only", "sources-not-independent", "sentinel2-missing",
    "sentinel2-weak", "image-missing", "not-newer-than-inventory", "inventory-date-unknown",
    "trees-enough", "grassland-from-sentinel2", "grassland-from-image", "image-leaf-off",
    "image-season-unknown", "registration-shift",
)  # fmt: skip
CONFIRMED_ORDER = ("trees-enough", "grassland-from-sentinel2", "grassland-from-image")
REJECTED_ORDER = (
    "building-signal", "arable-signal", "trees-none", "trees-few", "no-green-in-image",
    "no-trees-in-image",
)  # fmt: skip
# Reasons that keep an object with enough trees from being confirmed.
BLOCKING = frozenset({
    "geometry-outside-data", "sources-disagree", "building-signal", "arable-signal",
    "wood-signal", "plantation-signal", "elongated", "too-small", "surface-old",
    "surface-date-unknown", "no-green-in-image", "no-trees-in-image",
})  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """A verdict with everything that a person needs to check it."""

    verdict: str
    rejected_as: str | None
    reasons: tuple[str, ...]
    confidence: float
    grassland_signal: bool | None
    supports: dict[str, str | None]

    @property
    def reason_main(self) -> str:
        """The reason that weighs most."""
        return self.reasons[0]


# Older than any inventory, so data of unknown date are never newer.
UNKNOWN = date.min


def decide(evidence: Evidence, limits: Thresholds) -> Decision:
    """Judge one object.

    Returns:
        Confirmed, rejected or uncertain, with reason codes (most important first) and a
        confidence from 0 to 1.
    """
    votes = cast(evidence, limits)
    found = _seen(evidence, votes, limits) | _missing(evidence, limits)
    against = _newer(votes.groups_against, evidence)
    rejecting = independent(against, evidence.sources)
    order: tuple[str, ...]
    if rejecting >= 2 and not _trees_still_there(votes, against, evidence):
        verdict, order, count = REJECTED, REJECTED_ORDER, rejecting
    else:
        count = independent(votes.groups_for, evidence.sources)
        found |= _doubts(votes, evidence, count)
        confirmed = votes.trees_for and votes.grassland and count >= 2 and not found & BLOCKING
        verdict = CONFIRMED if confirmed else UNCERTAIN
        order = CONFIRMED_ORDER if confirmed else UNCERTAIN_ORDER
    reasons = _ordered(found, order)
    return Decision(
        verdict=verdict,
        rejected_as=_rejected_as(evidence, votes, limits) if verdict == REJECTED else None,
        reasons=reasons,
        confidence=confidence_of(verdict, evidence, limits, count),
        grassland_signal=votes.grassland,
        supports=_supports(votes, evidence),
    )


def _seen(evidence: Evidence, votes: Votes, limits: Thresholds) -> set[str]:
    """Return the reasons that lie in what the sources show."""
    found = _seen_in_surface(evidence, limits)
    signals = {
        "building-signal": votes.building_surface or votes.building_sentinel2,
        "arable-signal": votes.arable,
        "grassland-from-sentinel2": votes.grassland_sentinel2,
        "grassland-from-image": votes.grassland_sentinel2 is None and votes.grassland_image,
        "no-grassland-signal": votes.grassland is False
        or (votes.grassland is None and evidence.image is not None),
        "no-green-in-image": votes.open_image,
        "no-trees-in-image": votes.even_image,
        "too-small": evidence.area_m2 < limits.min_area,
        "elongated": evidence.elongation > limits.max_elongation
        or evidence.width_m < limits.min_width,
        "registration-shift": evidence.shift_m is not None and evidence.shift_m >= limits.max_shift,
        "image-leaf-off": evidence.image is not None and evidence.image.leaf_on is False,
        "image-season-unknown": evidence.image is not None and evidence.image.leaf_on is None,
    }
    return found | {code for code, holds in signals.items() if holds}


def _seen_in_surface(evidence: Evidence, limits: Thresholds) -> set[str]:
    surface = complete_surface(evidence, limits)
    if surface is None:
        return set()
    if surface.trees == 0:
        found = {"trees-none"}
    elif surface.trees < limits.min_trees:
        found = {"trees-few"}
    else:
        found = {"trees-enough"}
        if surface.trees_per_ha < limits.min_density:
            found.add("density-low")
        if surface.cover < limits.min_cover:
            found.add("cover-low")
    height = surface.height_p50 or 0.0
    top = surface.height_p90 or 0.0
    dense = surface.trees_per_ha > limits.max_density
    low = dense and top < limits.plantation_height
    one_row = surface.row_width_m is not None and surface.row_width_m < limits.min_row_width
    signals = {
        "density-high": dense,
        "cover-high": surface.cover > limits.max_cover,
        "wood-signal": surface.cover > limits.max_cover and height > limits.wood_height,
        "plantation-signal": surface.trees >= limits.min_trees
        and (low or surface.trees_per_ha >= limits.plantation_density),
        "elongated": one_row,
        "trees-nearby": surface.trees <= limits.max_trees_rejected
        and _orchard_nearby(evidence, limits),
    }
    return found | {code for code, holds in signals.items() if holds}


def _missing(evidence: Evidence, limits: Thresholds) -> set[str]:
    """Return the reasons that lie in what is missing, too old or of unknown date."""
    found = set()
    if evidence.surface is None:
        found.add("surface-missing")
    else:
        if evidence.surface.share < limits.min_data_share:
            found.add("geometry-outside-data")
        taken = _since("surface", evidence)
        if taken == UNKNOWN:
            found.add("surface-date-unknown")
        elif (evidence.period_end - taken).days > limits.max_surface_age * 365.25:
            found.add("surface-old")
    if complete_image(evidence, limits) is None:
        found.add("image-missing")
    if evidence.sentinel2 is None:
        found.add("sentinel2-missing")
    elif strong_sentinel2(evidence, limits) is None:
        found.add("sentinel2-weak")
    return found


def _doubts(votes: Votes, evidence: Evidence, count_for: int) -> set[str]:
    """Return the reasons why sources that were seen do not suffice for a verdict."""
    found = set()
    if votes.trees_for and votes.groups_against - {"surface"}:
        found.add("sources-disagree")
    leaning = votes.groups_for if votes.trees_for else votes.groups_against
    newer = _newer(votes.groups_against, evidence)
    count = count_for if votes.trees_for else independent(newer, evidence.sources)
    if leaning and count < 2:
        found.add("one-source-only")
    both = {"surface", "image"} <= set(_present(evidence))
    if both and not separate("surface", "image", evidence.sources):
        found.add("sources-not-independent")
    if not votes.trees_for and newer != votes.groups_against:
        known = evidence.inventory_date is not None
        found.add("not-newer-than-inventory" if known else "inventory-date-unknown")
    return found


def _newer(groups: frozenset[str], evidence: Evidence) -> frozenset[str]:
    """Return those of `groups` whose data are all known to be newer than the inventory."""
    inventory = evidence.inventory_date
    if inventory is None:
        return frozenset()
    return frozenset(group for group in groups if _since(group, evidence) > inventory)


def _trees_still_there(votes: Votes, against: frozenset[str], evidence: Evidence) -> bool:
    """Tell whether the surface shows an orchard, and may be as new as those that show none."""
    if not votes.trees_for:
        return False
    seen = _since("surface", evidence)
    return seen == UNKNOWN or seen >= max(_since(group, evidence) for group in against)


def _since(group: str, evidence: Evidence) -> date:
    source = evidence.sources.get(group)
    return source.since if source and source.since else UNKNOWN


def _rejected_as(evidence: Evidence, votes: Votes, limits: Thresholds) -> str:
    if votes.trees_against and _orchard_nearby(evidence, limits):
        return "geometry-wrong"
    changed = votes.arable or votes.building_sentinel2 or votes.building_surface or votes.open_image
    surface = evidence.surface
    if not changed and surface and surface.low_growth_share >= limits.min_low_growth:
        return "not-detectable"
    few = evidence.inventory_trees is not None
    few = few and (evidence.inventory_trees or 0) <= limits.max_trees_rejected
    other_use = evidence.code is not None and evidence.code not in ORCHARD_CODES
    return "never-an-orchard" if few or other_use else "lost"


def _orchard_nearby(evidence: Evidence, limits: Thresholds) -> bool:
    surface = evidence.surface
    expected = max(limits.min_trees, (evidence.inventory_trees or 0) / 2)
    return (
        surface is not None
        and surface.trees_nearby >= expected
        and limits.min_density <= surface.density_nearby <= limits.max_density
    )


def _present(evidence: Evidence) -> list[str]:
    return [group for group in GROUPS if getattr(evidence, group) is not None]


def _supports(votes: Votes, evidence: Evidence) -> dict[str, str | None]:
    supports: dict[str, str | None] = {}
    for group in _present(evidence):
        says_for, says_against = group in votes.groups_for, group in votes.groups_against
        if says_for == says_against:
            supports[group] = None
        else:
            supports[group] = "orchard" if says_for else "no-orchard"
    return supports


def _ordered(found: set[str], first: tuple[str, ...]) -> tuple[str, ...]:
    order = [*first, *(code for code in UNCERTAIN_ORDER if code not in first)]
    return tuple(code for code in order if code in found)
