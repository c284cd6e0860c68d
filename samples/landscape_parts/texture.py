"""Noise that belongs to the ground: the same place looks the same in every tile and block."""

from __future__ import annotations

import math

import cv2
import numpy as np

from landscape_parts.frame import Array, Frame

CELLS = 1024
Window = tuple[float, float, float, float]


class Texture:
    """Periodic noise with zero mean and unit spread; `grain` is its finest cell in metres.

    `roughness` 0 gives white noise, 1 or more ever smoother patches.
    """

    def __init__(self, frame: Frame, name: str, grain: float, roughness: float) -> None:
        rng = frame.stream("texture", name)
        frequency = np.hypot(np.fft.fftfreq(CELLS)[:, None], np.fft.rfftfreq(CELLS)[None, :])
        frequency[0, 0] = 1
        white = np.fft.rfft2(rng.standard_normal((CELLS, CELLS)))
        shaped = np.fft.irfft2(white * frequency**-roughness, s=(CELLS, CELLS))
        shaped -= shaped.mean()
        self._cells = (shaped / shaped.std()).astype(np.float32)
        self._grain = grain

    def over(self, window: Window, resolution: float) -> Array:
        """The noise over `window` (world metres) as float32 (rows, cols), north up."""
        xmin, ymin, xmax, ymax = window
        columns = round((xmax - xmin) / resolution)
        rows = round((ymax - ymin) / resolution)
        left, top = math.floor(xmin / self._grain) - 1, math.floor(-ymax / self._grain) - 1
        right, bottom = math.ceil(xmax / self._grain) + 2, math.ceil(-ymin / self._grain) + 2
        patch = self._cells[np.ix_(np.arange(top, bottom) % CELLS, np.arange(left, right) % CELLS)]
        scale = resolution / self._grain
        shift_x = (xmin + resolution / 2) / self._grain - left - 0.5
        shift_y = (-ymax + resolution / 2) / self._grain - top - 0.5
        matrix = np.array([[scale, 0, shift_x], [0, scale, shift_y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        out: Array = cv2.warpAffine(
            patch, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return out
