"""How far the surface model (nDOM) lies beside the orthophoto, for two metres spoil every verdict.

Method. Suppose the nDOM is displaced by d. Moved back by d, heights are explained best by the
colours below them: of the linear regressions of height on the image's bands, one for each d, that
with the largest multiple correlation R tells d (a parabola through its neighbours gives parts of
a cell). A regression takes no side: crowns may be brighter than the meadow in the near infrared
(leaves on) or darker (leaves off), and the infrared may be absent.

Cast shadows would pull the result towards the sun, for they are the most striking part of a
tree's surroundings. They are left out: cells darker than Otsu's threshold (Otsu 1979) of the sum
of all bands. Only the surroundings of raised cells count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SEARCH = 5.0  # metres; larger displacements are errors of another kind
RAISED = 2.0  # metres; higher cells are something that the image can show
SURROUNDINGS = 6.0  # metres around raised cells
SOFT = 4.0  # metres; heights above about twice this count alike
MIN_RAISED = 20.0  # square metres of raised cells without which nothing can be measured
LIT = 0.85  # of the median brightness; what is brighter is never taken for shadow
RIDGE = 1e-3
APART = 2.5  # metres; a rival this far away from the peak is another answer
DISTINCT = 0.03  # of R; measured: right peaks stand out by 0.04 to 0.23, wrong ones by up to 0.02


@dataclass(frozen=True)
class Evidence:
    """Centred sums over lit cells for each displacement (rows, cols): additive over windows.

    `bands` is (rows, cols, bands, bands), `mixed` (rows, cols, bands), `heights` (rows, cols);
    the first row is the most northern, the first column the most western displacement.
    """

    cell: float
    bands: NDArray[np.float64]
    mixed: NDArray[np.float64]
    heights: NDArray[np.float64]


@dataclass(frozen=True)
class Registration:
    """Displacement of the nDOM relative to the image, metres east and north."""

    status: str
    dx: float | None = None
    dy: float | None = None
    correlation: float | None = None


def evidence(
    image: NDArray[np.float32], heights: NDArray[np.float32], cell: float
) -> Evidence | None:
    """Collect what one window says.

    Args:
        image: Shape (bands, rows, cols), NaN where there is no image.
        heights: Shape (rows, cols), metres, NaN where there is none; the same cells.
        cell: Cell size, metres.

    Returns:
        None when the window holds too few raised cells or no image.
    """
    raised = heights > RAISED
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(image).all(axis=0))
    if raised.sum() * cell * cell < MIN_RAISED or not seen.any():
        return None
    reach = round(SURROUNDINGS / cell)
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    around = cv2.dilate(raised.astype(np.uint8), square).astype(bool) & np.isfinite(heights)
    bands = _softened(image, seen)
    lit = seen & _lit(bands.sum(axis=0), seen)
    soft = np.tanh(np.maximum(np.nan_to_num(heights), 0) / SOFT)
    soft -= soft[around].mean()
    return _sums(bands, lit, soft, around, cell)


def pooled(parts: Sequence[Evidence]) -> Evidence:
    """Add up the evidence of windows of one cell size (at least one)."""
    return Evidence(
        parts[0].cell,
        np.sum([part.bands for part in parts], axis=0),
        np.sum([part.mixed for part in parts], axis=0),
        np.sum([part.heights for part in parts], axis=0),
    )


def correlations(found: Evidence) -> NDArray[np.float64]:
    """Give the multiple correlation R of each displacement, shape (rows, cols), 0 to 1."""
    count = found.bands.shape[-1]
    scale = np.trace(found.bands, axis1=-2, axis2=-1)[..., None, None] / count
    safe = found.bands + np.eye(count) * np.maximum(RIDGE * scale, 1e-12)
    weights = np.linalg.solve(safe, found.mixed[..., None])[..., 0]
    explained = np.einsum("...k,...k", weights, found.mixed)
    share = explained / np.maximum(found.heights, 1e-12)
    correlation: NDArray[np.float64] = np.sqrt(np.clip(share, 0, 1))
    return correlation


def judged(found: Evidence, max_shift: float, min_correlation: float) -> Registration:
    """Read the displacement from the evidence.

    The peak must lie inside the search, be at least `min_correlation` high, and stand out from
    every displacement 2.5 m or more away from it; otherwise the status is ``unreliable``.
    Displacements of `max_shift` metres or more are ``shifted``.
    """
    surface = correlations(found)
    steps = surface.shape[0] // 2
    row, col = (int(i) for i in np.unravel_index(np.argmax(surface), surface.shape))
    rows, cols = np.ogrid[: surface.shape[0], : surface.shape[1]]
    apart = np.hypot(rows - row, cols - col) * found.cell >= APART
    height = float(surface[row, col])
    inside = 0 < row < 2 * steps and 0 < col < 2 * steps
    reliable = inside and height >= min_correlation
    reliable = reliable and height - float(surface[apart].max()) >= DISTINCT
    if inside:
        x = col - steps + _summit(*surface[row, col - 1 : col + 2])
        y = steps - row - _summit(*surface[row - 1 : row + 2, col])
    else:
        x, y = float(col - steps), float(steps - row)
    dx, dy = x * found.cell, y * found.cell
    status = "ok" if np.hypot(dx, dy) < max_shift else "shifted"
    return Registration(status if reliable else "unreliable", dx, dy, height)


def _summit(before: float, middle: float, after: float) -> float:
    """Place the summit of the parabola through three neighbours, in steps from the middle."""
    bend = before - 2 * middle + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


def _sums(
    bands: NDArray[np.float64],
    lit: NDArray[np.bool_],
    soft: NDArray[np.float64],
    around: NDArray[np.bool_],
    cell: float,
) -> Evidence:
    """Sum products of image and displaced heights for all displacements at once, by FFT."""
    steps = round(SEARCH / cell)
    shape = tuple(cv2.getOptimalDFTSize(side + steps) for side in lit.shape)
    shifts = np.arange(-steps, steps + 1)

    def spectrum(values: NDArray[np.float64]) -> NDArray[np.complex128]:
        return np.fft.rfft2(values, shape)

    def against(left: NDArray[np.complex128], right: NDArray[np.complex128]) -> NDArray[np.float64]:
        products = np.fft.irfft2(np.conj(left) * right, shape)
        return products[np.ix_(shifts, shifts)]

    count = len(bands)
    inside = np.where(lit, bands, 0)
    lit_s, band_s = spectrum(lit.astype(np.float64)), [spectrum(band) for band in inside]
    near_s, soft_s = spectrum(around.astype(np.float64)), spectrum(np.where(around, soft, 0))
    cells = np.maximum(against(lit_s, near_s), 1.0)
    sum_band = np.stack([against(one, near_s) for one in band_s], axis=-1)
    sum_soft = against(lit_s, soft_s)
    mixed = np.stack([against(one, soft_s) for one in band_s], axis=-1)
    heights = against(lit_s, spectrum(np.where(around, soft**2, 0))) - sum_soft**2 / cells
    squares = np.empty((*cells.shape, count, count))
    for i in range(count):
        for j in range(i, count):
            product = against(spectrum(inside[i] * inside[j]), near_s)
            squares[..., i, j] = squares[..., j, i] = product
    squares -= sum_band[..., :, None] * sum_band[..., None, :] / cells[..., None, None]
    mixed -= sum_band * (sum_soft / cells)[..., None]
    return Evidence(cell, squares, mixed, heights)


def _softened(image: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Smooth lightly and centre the bands; cells without an image take the mean."""
    bands = []
    for band in image.astype(np.float64):
        filled = np.where(seen, band, band[seen].mean())
        bands.append(cv2.GaussianBlur(filled, (0, 0), 1.0))
    return np.stack(bands)


def _lit(brightness: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    middle = float(np.median(brightness[seen]))
    scaled = (np.clip(brightness / max(middle, 1e-6), 0, 2) * 127).astype(np.uint8)
    threshold, _ = cv2.threshold(scaled[seen][:, None], 0, 255, cv2.THRESH_OTSU)
    lit: NDArray[np.bool_] = scaled > min(threshold, LIT * 127)
    return lit
