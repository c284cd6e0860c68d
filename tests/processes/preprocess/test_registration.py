"""The displacement of nDOM against orthophoto: known shifts are found, nonsense is not believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.transform import from_origin

from processes.preprocess.overlay import onto_cells
from processes.preprocess.registration import evidence, judged, pooled
from tests.processes.preprocess.scenery import (
    photo_item,
    prepare,
    write_items,
    write_objects,
    write_raster,
)

LEFT, BOTTOM, CELL = 300_000.0, 5_700_000.0, 0.5
CORE = (LEFT, BOTTOM, LEFT + 100, BOTTOM + 100)
# bands red, green, blue, near infrared
MEADOW, CROWN, BARE_CROWN = (80, 100, 70, 150), (60, 80, 55, 170), (110, 105, 100, 90)
SHADOW = 0.4


def orchard(
    east: float = 0, north: float = 0, *, crown: Any = CROWN, seed: int = 5, jitter: float = 3
) -> tuple[Any, Any]:
    """Give an image (4, 200, 200) of 0.5 m and heights of it, moved east and north (metres).

    25 crowns of 2 to 4 m radius throw shadows to the north-west.
    """
    random = np.random.default_rng(seed)
    x = LEFT + (np.arange(200) + 0.5) * CELL
    y = BOTTOM + 100 - (np.arange(200) + 0.5) * CELL
    trees = [
        (LEFT + 14 + 18 * i + dx, BOTTOM + 14 + 18 * j + dy, radius)
        for i in range(5)
        for j in range(5)
        for dx, dy, radius in [(*random.uniform(-jitter, jitter, 2), random.uniform(2, 4))]
    ]

    def dome(move_x: float, move_y: float) -> Any:
        height = np.zeros((200, 200))
        for tree_x, tree_y, radius in trees:
            away = np.hypot(x[None, :] - tree_x - move_x, y[:, None] - tree_y - move_y)
            height = np.maximum(height, 2 * np.sqrt(np.maximum(radius**2 - away**2, 0)))
        return height

    image = np.where(
        dome(0, 0) > 0, np.array(crown)[:, None, None], np.array(MEADOW)[:, None, None]
    ).astype(float)
    image[:, (dome(-2.5, 2.5) > 0) & (dome(0, 0) == 0)] *= SHADOW
    image += random.normal(0, 4, image.shape)
    return image.clip(1, 255).round().astype(np.float32), dome(east, north).astype(np.float32)


def measured(image: Any, heights: Any) -> Any:
    found = evidence(image, heights, CELL)
    assert found is not None
    return judged(found, max_shift=1.0, min_correlation=0.35)


@pytest.mark.parametrize(
    ("east", "north"), [(0, 0), (0.5, -0.25), (2.2, 0.6), (-3, 1.5), (0, -4), (1.75, 1.75)]
)
@pytest.mark.parametrize("crown", [CROWN, BARE_CROWN], ids=["leaves on", "leaves off"])
def test_a_known_shift_is_found(east: float, north: float, crown: Any) -> None:
    found = measured(*orchard(east, north, crown=crown))
    assert found.dx == pytest.approx(east, abs=0.25)
    assert found.dy == pytest.approx(north, abs=0.25)
    assert found.status == ("ok" if np.hypot(east, north) < 1 else "shifted")


def test_an_image_without_infrared_is_enough() -> None:
    image, heights = orchard(2, -1)
    found = measured(image[:3], heights)
    assert (found.dx, found.dy) == pytest.approx((2, -1), abs=0.3)


def test_part_of_the_image_may_be_missing() -> None:
    image, heights = orchard(2, -1)
    image[:, :, :70] = np.nan
    heights[150:] = np.nan
    found = measured(image, heights)
    assert (found.dx, found.dy) == pytest.approx((2, -1), abs=0.3)


@pytest.mark.parametrize("seed", range(6))
def test_the_image_of_another_place_is_unreliable(seed: int) -> None:
    # no common planting grid, which would be a truth of its own
    image, _ = orchard(seed=100 + seed, jitter=30)
    _, heights = orchard(seed=seed, jitter=30)
    assert measured(image, heights).status == "unreliable"


@pytest.mark.parametrize("seed", range(6))
def test_noise_is_unreliable(seed: int) -> None:
    _, heights = orchard(seed=seed)
    noise = np.random.default_rng(seed).normal(100, 20, (4, 200, 200)).astype(np.float32)
    assert measured(noise, heights).status == "unreliable"


def test_a_uniform_image_is_unreliable() -> None:
    _, heights = orchard()
    assert measured(np.full((4, 200, 200), 90, np.float32), heights).status == "unreliable"


def test_a_shift_beyond_the_search_is_unreliable() -> None:
    assert measured(*orchard(7, 0)).status == "unreliable"


def test_without_raised_cells_or_without_image_there_is_no_evidence() -> None:
    image, heights = orchard()
    assert evidence(image, np.zeros_like(heights), CELL) is None
    assert evidence(image, np.full_like(heights, np.nan), CELL) is None
    assert evidence(np.full_like(image, np.nan), heights, CELL) is None


def test_windows_add_up() -> None:
    image, heights = orchard(1.5, 0.5)
    parts = [
        evidence(image[:, rows], heights[rows], CELL) for rows in (slice(100), slice(100, 200))
    ]
    found = judged(pooled([part for part in parts if part]), 1.0, 0.35)
    assert (found.dx, found.dy) == pytest.approx((1.5, 0.5), abs=0.25)


def test_pixels_are_averaged_in_their_cell() -> None:
    pixels = np.uint8([[[1, 3, 10, 0], [5, 7, 20, 0], [9, 9, 0, 0], [9, 9, 0, 0]]])
    cells = onto_cells(pixels, from_origin(0, 4, 1, 1), from_origin(0, 4, 2, 2), (2, 2))
    np.testing.assert_array_equal(cells, np.float32([[[4, 15], [9, np.nan]]]))


def test_coarser_pixels_are_repeated() -> None:
    pixels = np.uint8([[[1, 2], [3, 0]]])
    cells = onto_cells(pixels, from_origin(0, 4, 2, 2), from_origin(0, 4, 1, 1), (4, 4))
    expected = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, np.nan, np.nan], [3, 3, np.nan, np.nan]]
    np.testing.assert_array_equal(cells, np.float32([expected]))


def stage_inputs(folder: Path, east: float, north: float) -> dict[str, Any]:
    image, heights = orchard(east, north)
    fine = image.astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2)
    place = {"left": LEFT, "top": BOTTOM + 100}
    dop = [
        write_raster(folder / "west.tif", fine[:, :, :200], cell=0.25, **place),
        write_raster(
            folder / "east.tif", fine[:, :, 200:], cell=0.25, **(place | {"left": LEFT + 50})
        ),
    ]
    ndom = [write_raster(folder / "ndom.tif", heights, cell=CELL, nodata=-9999, **place)]
    boxes = {
        "seam": (LEFT + 25, BOTTOM + 12, LEFT + 90, BOTTOM + 45),
        "west": (LEFT + 12, BOTTOM + 55, LEFT + 40, BOTTOM + 88),
        "far": (LEFT + 300, BOTTOM, LEFT + 310, BOTTOM + 10),
    }
    return {
        "items": write_items(folder / "items.json", [photo_item(path) for path in dop]),
        "objects": write_objects(folder / "objects.gpkg", boxes),
        "dop": dop,
        "ndom": ndom,
    }


def test_the_stage_says_what_it_measured_for_the_batch_and_for_each_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inputs = stage_inputs(tmp_path, 2.0, 0.5)
    found = prepare(CORE, **inputs)["registration"]
    assert found["status"] == "shifted"
    assert found["n"] == 2
    assert (found["dx_m"], found["dy_m"]) == pytest.approx((2.0, 0.5), abs=0.25)
    assert sorted(found["objects"]) == ["seam", "west"]
    calm = prepare(CORE, max_shift=2.5, **inputs)["registration"]
    assert calm["status"] == "ok"
    strict = prepare(CORE, min_shift_correlation=0.99, **inputs)["registration"]
    assert strict["status"] == "unreliable"


def test_what_is_said_of_an_object_does_not_depend_on_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inputs = stage_inputs(tmp_path, 2.0, 0.5)
    whole = prepare(CORE, **inputs)["registration"]["objects"]
    west = prepare((LEFT, BOTTOM, LEFT + 50, BOTTOM + 100), **inputs)["registration"]["objects"]
    east = prepare((LEFT + 50, BOTTOM, LEFT + 100, BOTTOM + 100), **inputs)["registration"]
    assert {**west, **east["objects"]} == whole
    assert not set(west) & set(east["objects"])


def test_without_a_surface_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inputs = stage_inputs(tmp_path, 0, 0) | {"ndom": []}
    found = prepare(CORE, **inputs)["registration"]
    assert found["status"] == "not-measured"
    assert found["n"] == 0
