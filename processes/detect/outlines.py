"""Connected parts of a label raster and their outlines along cell edges.

Only outer rings are traced: what a crown encloses belongs to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Edges of a cell run clockwise: along its top eastwards, right southwards, bottom, left. Per edge,
# as (row, col): its end seen from the cell's corner, the cell ahead, the cell ahead on its left.
END = np.array([(0, 1), (1, 1), (1, 0), (0, 0)])
AHEAD = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
LEFT = np.array([(-1, 1), (1, 1), (1, -1), (-1, -1)])


@dataclass(frozen=True)
class Rings:
    """Closed rings, one per part; corners are (row, col) of cell edges."""

    corners: NDArray[np.int64]
    """Shape (corners of all rings, 2); the first corner of a ring is repeated at its end."""
    starts: NDArray[np.int64]
    """Index of the first corner of each ring, and one more at the end."""

    @property
    def owners(self) -> NDArray[np.int64]:
        """Number of the ring of each corner."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


def connected_parts(labels: NDArray[np.int32]) -> tuple[int, NDArray[np.int32]]:
    """Number the parts of equal, positive labels whose cells share edges.

    Returns:
        Count of parts, and for each cell the number of its part, from 1; 0 for no part.
    """
    rows, cols = labels.shape
    # Cells and the edges between them become pixels, so that one binary labelling does them all.
    grid = np.zeros((2 * rows - 1, 2 * cols - 1), dtype=np.uint8)
    positive = labels > 0
    grid[::2, ::2] = positive
    grid[::2, 1::2] = (labels[:, 1:] == labels[:, :-1]) & positive[:, 1:]
    grid[1::2, ::2] = (labels[1:] == labels[:-1]) & positive[1:]
    count, parts = cv2.connectedComponents(grid, connectivity=4, ltype=cv2.CV_32S)
    return count - 1, np.ascontiguousarray(parts[::2, ::2])


def first_cells(parts: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Return the flat index of the first cell, in the order of the array, of each part."""
    first = np.zeros(count + 1, dtype=np.int64)
    cells = np.flatnonzero(parts)[::-1]
    first[parts.ravel()[cells]] = cells  # the last assignment stays
    return first[1:]


def trace(parts: NDArray[np.int32], firsts: NDArray[np.int64]) -> Rings:
    """Trace the outer rings of the parts that begin with the cells `firsts`.

    All rings grow by one edge at a time, together. At a corner where a part touches itself the ring
    turns left: as the part is connected elsewhere, what lies between is enclosed.
    """
    padded = np.pad(parts, 1)
    width = padded.shape[1]
    flat = padded.ravel()
    ahead, left = AHEAD @ (width, 1), LEFT @ (width, 1)
    row, col = np.divmod(firsts, parts.shape[1])
    cell = (row + 1) * width + col + 1
    own = flat[cell]
    first, edge, ring = cell.copy(), np.zeros(len(cell), dtype=np.int64), np.arange(len(cell))
    found: list[tuple[NDArray[np.int64], ...]] = [(ring, np.column_stack([row, col]))]
    while len(ring):
        turn_left = flat[cell + left[edge]] == own
        straight = ~turn_left & (flat[cell + ahead[edge]] == own)
        corner = ~straight
        here = np.column_stack(np.divmod(cell[corner], width)) - 1 + END[edge[corner]]
        found.append((ring[corner], here))
        cell = np.where(turn_left, cell + left[edge], np.where(straight, cell + ahead[edge], cell))
        edge = np.where(turn_left, edge - 1, np.where(straight, edge, edge + 1)) % 4
        going = (cell != first) | (edge != 0)
        cell, edge, ring, own, first = (v[going] for v in (cell, edge, ring, own, first))
    owner = np.concatenate([part[0] for part in found])
    corners = np.concatenate([part[1] for part in found])
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(len(firsts) + 1))
    return Rings(corners[order], starts)


def areas(rings: Rings) -> NDArray[np.int64]:
    """Return the area enclosed by each ring, in cells."""
    row, col = rings.corners[:, 0], rings.corners[:, 1]
    cross = col[:-1] * row[1:] - col[1:] * row[:-1]
    cross = np.append(cross, 0)
    cross[rings.starts[1:] - 1] = 0  # between one ring's end and the next one's start
    return np.abs(np.add.reduceat(cross, rings.starts[:-1])) // 2 if len(cross) > 1 else cross[:0]


def longest_radii(rings: Rings) -> NDArray[np.float64]:
    """Return how far, in cells, each ring reaches from the middle of its bounding box."""
    starts = rings.starts[:-1]
    if not len(starts):
        return np.zeros(0)
    low = np.minimum.reduceat(rings.corners, starts, axis=0)
    high = np.maximum.reduceat(rings.corners, starts, axis=0)
    offset = 2 * rings.corners - (low + high)[rings.owners]
    squares = np.maximum.reduceat((offset**2).sum(axis=1), starts)
    return np.sqrt(squares) / 2
