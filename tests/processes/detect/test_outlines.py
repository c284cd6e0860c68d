"""Parts and outlines on rasters of a few cells."""

from __future__ import annotations

import numpy as np

from processes.detect.outlines import areas, connected_parts, first_cells, longest_radii, trace


def outlined(rows):
    labels = np.array(rows, dtype=np.int32)
    count, parts = connected_parts(labels)
    return parts, trace(parts, first_cells(parts, count))


def test_cells_that_touch_at_a_corner_are_two_parts():
    parts, _ = outlined([[1, 0], [0, 1]])
    assert parts.max() == 2


def test_touching_cells_of_different_labels_are_two_parts():
    parts, _ = outlined([[1, 2], [1, 2]])
    assert parts.max() == 2


def test_an_outline_has_the_corners_of_its_cells_and_closes():
    _, rings = outlined([[1, 0], [1, 1]])
    assert rings.corners.tolist() == [[0, 0], [0, 1], [1, 1], [1, 2], [2, 2], [2, 0], [0, 0]]
    assert areas(rings).tolist() == [3]


def test_holes_belong_to_the_part():
    _, rings = outlined([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
    assert areas(rings).tolist() == [9]


def test_a_ring_that_meets_itself_at_a_corner_encloses_what_lies_between():
    # The ends of the ring meet at one corner; the empty cell in the middle becomes a hole.
    _, rings = outlined([[1, 1, 1], [1, 0, 1], [1, 1, 0]])
    corners = [tuple(corner) for corner in rings.corners.tolist()]
    assert len(set(corners)) == len(corners) - 1
    assert areas(rings).tolist() == [9 - 1]


def test_rings_of_several_parts_are_kept_apart():
    _, rings = outlined([[1, 1, 0, 2], [0, 0, 0, 2]])
    assert rings.starts.tolist() == [0, 5, 10]
    assert areas(rings).tolist() == [2, 2]
    # 2 x 1 cells: the corners lie sqrt(1 + 0.25) from the middle.
    assert np.allclose(longest_radii(rings), np.sqrt(1.25))


def test_nothing_has_no_rings():
    _, rings = outlined([[0, 0], [0, 0]])
    assert areas(rings).tolist() == []
    assert longest_radii(rings).tolist() == []
