"""One number from 0 to 1 that orders objects for review; it is not a probability.

It has not been calibrated against field visits. ``docs/verdicts.md`` explains it in words.
"""

from __future__ import annotations

from processes.assess.evidence import Evidence, Surface
from processes.assess.independence import GROUPS, independent
from processes.assess.thresholds import Thresholds


def confidence_of(verdict: str, evidence: Evidence, limits: Thresholds, agreeing: int) -> float:
    """Return the confidence in a verdict.

    Args:
        verdict: ``confirmed``, ``rejected`` or ``uncertain``.
        evidence: What the verdict rests on.
        limits: Its thresholds.
        agreeing: Independent sources that support a confirmed or rejected verdict.

    Returns:
        For confirmed and rejected: (agreeing / 3) * (0.5 + 0.5 * margin), where margin is the
        least distance to a threshold, 0 on it, 1 far away. For uncertain: half the share of the
        three groups of data that are there, so never more than 0.5.
    """
    if verdict == "uncertain":
        present = [group for group in GROUPS if getattr(evidence, group) is not None]
        return round(0.5 * independent(present, evidence.sources) / len(GROUPS), 3)
    margin = 0.0
    if evidence.surface is not None:
        judge = _margin_confirmed if verdict == "confirmed" else _margin_rejected
        margin = judge(evidence.surface, limits)
    return round(agreeing / len(GROUPS) * (0.5 + 0.5 * margin), 3)


def _margin_confirmed(surface: Surface, limits: Thresholds) -> float:
    trees = (surface.trees - limits.min_trees) / limits.min_trees
    density = _inside(surface.trees_per_ha, limits.min_density, limits.max_density)
    cover = _inside(surface.cover, limits.min_cover, limits.max_cover)
    return _clip(min(trees, density, cover))


def _margin_rejected(surface: Surface, limits: Thresholds) -> float:
    trees = (limits.max_trees_rejected + 1 - surface.trees) / (limits.max_trees_rejected + 1)
    built = surface.structure_share / limits.max_structure_share - 1
    return _clip(max(trees, built))


def _inside(value: float, low: float, high: float) -> float:
    """Return the distance to the nearer limit: 0 on it, 1 in the middle between the two."""
    half = (high - low) / 2
    return min(value - low, high - value) / half if half > 0 else 0.0


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)
