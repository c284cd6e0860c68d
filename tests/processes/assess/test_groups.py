"""Groups of trees: what belongs together, and that no square changes it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from processes.assess import squares
from processes.assess.clusters import Groups, Limits, in_wood
from processes.assess.stems import Stems
from processes.grid import Bounds

LIMITS = Limits(link=18.0, max_density=150.0, max_cover=0.7, min_trees=10)
COARSE = 5.0  # metres, so that many trees are exactly one link apart or lie on an edge


def grid(columns, rows, spacing, east=0.0):
    x, y = np.meshgrid(np.arange(columns) * spacing + east, np.arange(rows) * spacing)
    return np.column_stack([x.ravel(), y.ravel()])


def stems(tops, areas):
    order = np.lexsort((tops[:, 1], tops[:, 0]))
    tops, areas = tops[order], np.broadcast_to(areas, len(tops))[order]
    return Stems(tops, np.full(len(tops), 8.0), areas, np.zeros(len(tops), dtype=bool))


def groups_of(trees, limits=LIMITS):
    """Feed the trees square by square, each with its margin, as the stage does."""
    groups, found = Groups(limits), []
    (left, bottom), (right, top) = trees.tops.min(axis=0), trees.tops.max(axis=0)
    for square in squares.squares_over(Bounds(left, bottom, right + 1e-6, top + 1e-6)):
        seen = square.grow(limits.margin)
        x, y = trees.tops.T
        near = (x >= seen.left) & (x <= seen.right) & (y >= seen.bottom) & (y <= seen.top)
        found += groups.add(square, trees.take(near))
    return [group.tops.tolist() for group in found + groups.rest()]


def linked_by_hand(trees, limits):
    """Spread from tree to tree, over all distances between them."""
    left = trees.tops[~in_wood(trees.tops, trees.areas, limits)]
    near = cdist(left, left) <= limits.link
    found = []
    unseen = set(range(len(left)))
    while unseen:
        group, edge = set(), {min(unseen)}
        while edge:
            group |= edge
            edge = set(np.flatnonzero(near[list(edge)].any(axis=0))) - group
        unseen -= group
        if len(group) >= limits.min_trees:
            found.append(left[sorted(group)].tolist())
    return found


def test_orchard_is_one_group_and_a_distant_one_another():
    first, second = grid(4, 4, 10.0), grid(4, 4, 10.0, east=100.0)
    found = groups_of(stems(np.concatenate([first, second]), 20.0))
    assert [len(group) for group in found] == [16, 16]
    assert sorted(found[0]) == sorted(first.tolist())


def test_wood_and_the_trees_at_its_edge_are_left_out():
    # 4 m apart are 625 trees/ha.
    assert groups_of(stems(grid(20, 20, 4.0), 12.0)) == []


def test_closed_canopy_of_large_crowns_is_left_out():
    # 9 m apart are 123 trees/ha, which would do, but crowns of 80 m2 leave no gap.
    assert groups_of(stems(grid(12, 12, 9.0), 80.0)) == []


def test_groups_do_not_depend_on_what_stands_elsewhere():
    orchard, wood = grid(4, 4, 10.0), grid(20, 20, 4.0, east=500.0)
    areas = np.concatenate([np.full(16, 20.0), np.full(400, 12.0)])
    both = groups_of(stems(np.concatenate([orchard, wood]), areas))
    assert both == groups_of(stems(orchard, 20.0)) != []


@pytest.mark.parametrize("side", [37.0, 100.0])
def test_ring_that_winds_through_many_squares_is_one_group(monkeypatch, side):
    # Squares in the west see two arms, which only the last column joins.
    corners = [(300, 0), (0, 0), (0, 200), (300, 200), (300, 90)]
    arms = [
        np.linspace(first, last, 1 + round(np.hypot(*np.subtract(last, first)) / 15))
        for first, last in pairwise(corners)
    ]
    ring = np.unique(np.concatenate(arms), axis=0)
    monkeypatch.setattr(squares, "SIDE", side)
    assert groups_of(stems(ring, 5.0)) == [ring.tolist()]


@settings(deadline=None, max_examples=50)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 150), st.sampled_from([30.0, 44.0, 77.0]),
    st.integers(1, 6),
)  # fmt: skip
def test_squares_do_not_change_the_groups(seed, count, side, min_trees):
    limits = Limits(link=15.0, max_density=40.0, max_cover=0.7, min_trees=min_trees)
    random = np.random.default_rng(seed)
    places = np.unique(random.integers(-10, 30, (count, 2)), axis=0) * COARSE
    made = stems(places, random.uniform(1.0, 120.0, len(places)))
    expected = linked_by_hand(made, limits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(squares, "SIDE", side)
        assert sorted(groups_of(made, limits)) == sorted(expected)
