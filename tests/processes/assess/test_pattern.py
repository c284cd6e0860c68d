"""Patterns whose measures can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from processes.assess import pattern


def grid(columns: int, rows: int, distance: float = 10.0) -> np.ndarray:
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    return np.column_stack([x.ravel(), y.ravel()]).astype(float) * distance


def test_square_grid_has_clark_evans_two() -> None:
    # Each of 16 trees stands for 100 m2: expected 0.5 * 10 m, found 10 m.
    assert pattern.clark_evans(grid(4, 4), area=1600.0) == pytest.approx(2.0)


def test_edge_correction_lowers_clark_evans() -> None:
    # 5 + (0.0514 + 0.041 / 4) * 160 / 16 = 5.6165 m expected.
    found = pattern.clark_evans(grid(4, 4), area=1600.0, perimeter=160.0)
    assert found == pytest.approx(10 / 5.6165)


def test_pairs_are_clustered() -> None:
    pairs = np.array([[0, 0], [0, 1], [50, 50], [50, 51], [0, 50], [1, 50]], float)
    # Expected 0.5 * sqrt(2400 / 6) = 10 m, found 1 m.
    assert pattern.clark_evans(pairs, area=2400.0) == pytest.approx(0.1)


def test_spacing_and_its_variation() -> None:
    assert pattern.spacing(grid(3, 3, 12.0)) == 12.0
    assert pattern.neighbour_cv(grid(3, 3)) == 0.0
    # Distances 1, 1, 3: mean 5/3, deviation sqrt(8)/3.
    line = np.array([[0, 0], [1, 0], [4, 0]], float)
    assert pattern.neighbour_cv(line) == pytest.approx(np.sqrt(8) / 5)


def test_all_trees_of_a_grid_stand_in_one_and_gaps_cost_little() -> None:
    assert pattern.grid_share(grid(4, 4)) == 1.0
    assert pattern.grid_share(np.delete(grid(4, 4), 5, axis=0)) == 1.0


def test_ring_of_trees_is_no_grid() -> None:
    angles = np.arange(9) * 2 * np.pi / 9
    ring = 20 * np.column_stack([np.cos(angles), np.sin(angles)])
    assert pattern.grid_share(ring) == 0.0


def test_row_width_is_that_of_the_strip_whatever_its_direction() -> None:
    two_rows = grid(10, 2, 8.0)
    assert pattern.row_width(two_rows) == pytest.approx(8.0)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert pattern.row_width(two_rows @ turn) == pytest.approx(8.0)
    assert pattern.row_width(grid(10, 1)) == pytest.approx(0.0)


@pytest.mark.parametrize("count", [0, 1])
def test_single_tree_has_no_pattern(count: int) -> None:
    points = grid(count, 1)
    assert pattern.clark_evans(points, 100.0) is None
    assert pattern.spacing(points) is None
    assert pattern.neighbour_cv(points) is None
    assert pattern.grid_share(points) == 0.0
    assert pattern.row_width(points) is None
