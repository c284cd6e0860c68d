"""Neither the cut into batches nor the size of memory blocks changes a single bit."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from processes.grid import Bounds
from processes.preprocess.image import write_image
from processes.preprocess.items import orthophotos, scenes
from processes.preprocess.mosaic import Mosaic
from processes.preprocess.sampling import CellGrid
from processes.preprocess.sentinel2 import Rules, yearly_metrics
from tests.processes.preprocess.scenery import UTM32, photo_item, write_raster, write_scene

LEFT, BOTTOM, SIDE = 300_000.0, 5_700_000.0, 400.0
CORE = Bounds(LEFT, BOTTOM, LEFT + SIDE, BOTTOM + SIDE)
RULES = Rules(cloud_radius=30)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Six noisy scenes with clouds: own grid, 5 m off the grid, and the neighbouring UTM zone."""
    from pyproj import Transformer

    folder = tmp_path_factory.mktemp("s2")
    random = np.random.default_rng(7)
    x, y = Transformer.from_crs(UTM32, "EPSG:32631", always_xy=True).transform(LEFT, BOTTOM)
    places = [
        {"left": LEFT - 300, "top": BOTTOM + 800, "crs": UTM32},
        {"left": LEFT - 295, "top": BOTTOM + 805, "crs": "EPSG:32632"},
        {"left": round(x, -1) - 300, "top": round(y, -1) + 800, "crs": "EPSG:32631"},
    ]
    files, items = [], []
    for number in range(6):
        shape, coarse = (110, 110), (55, 55)
        bands = {
            "B02": random.integers(1, 2000, shape),
            "B04": random.integers(0, 3000, shape),
            "B08": random.integers(0, 6000, shape),
        }
        place = places[number % 3]
        classes = random.choice(
            [4, 4, 4, 5, 5, 7, 0, 9], coarse, p=[0.2] * 4 + [0.1, 0.07, 0.02, 0.01]
        )
        made = [
            write_scene(
                folder, f"s{number}", f"2023-0{3 + number // 2}-10",
                {name: data.astype(np.uint16) for name, data in bands.items()},
                offset=-0.01, cell=10.0, **place,
            ),
            write_scene(
                folder, f"s{number}", f"2023-0{3 + number // 2}-10",
                {"B11": random.integers(1, 4000, coarse).astype(np.uint16),
                 "SCL": classes.astype(np.uint8)},
                offset=-0.01, cell=20.0, **place,
            ),
        ]  # fmt: skip
        files += [path for paths, _ in made for path in paths]
        item = made[0][1]
        item["assets"].update(made[1][1]["assets"])
        items.append(item)
    return scenes(items, files)


@pytest.fixture(scope="module")
def whole(year: Any) -> Any:
    return yearly_metrics(year, CellGrid.covering(CORE, 10.0, UTM32), RULES).values


def test_the_noisy_year_is_worth_comparing(whole: Any) -> None:
    clear = whole[8]
    assert clear.min() == 0
    assert clear.max() == 3
    assert len(np.unique(whole[1])) > 1000


@settings(max_examples=5, deadline=None)
@given(x=st.integers(1, 399), y=st.integers(1, 399), blocks=st.sampled_from([20_000, 10**9]))
def test_a_core_cut_in_four_gives_the_same_bits(
    year: Any, whole: Any, x: int, y: int, blocks: int
) -> None:
    joined = np.full_like(whole, -1)
    for left, right in ((0, x), (x, SIDE)):
        for bottom, top in ((0, y), (y, SIDE)):
            part = Bounds(LEFT + left, BOTTOM + bottom, LEFT + right, BOTTOM + top)
            grid = CellGrid.covering(part, 10.0, UTM32)
            if not grid.rows or not grid.cols:
                continue
            values = yearly_metrics(year, grid, RULES, stack_bytes=blocks).values
            row = round((CORE.top - grid.top * 10) / 10)
            col = round((grid.left * 10 - LEFT) / 10)
            joined[:, row : row + grid.rows, col : col + grid.cols] = values
    assert joined.tobytes() == whole.tobytes()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("dop")
    random = np.random.default_rng(3)
    files = []
    for number, (col, row) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        data = random.integers(0, 256, (4, 400, 400)).astype(np.uint8)
        data[:, :50, :50] = 0  # no image there
        place = {"left": LEFT + 200 * col, "top": BOTTOM + 200 + 200 * row}
        files.append(write_raster(folder / f"dop{number}.tif", data, cell=0.5, **place))
    return orthophotos([photo_item(path) for path in files], files)


WINDOWS = {
    "west": Bounds(LEFT - 50, BOTTOM + 30.3, LEFT + 60, BOTTOM + 90),
    "seam": Bounds(LEFT + 180.1, BOTTOM + 170, LEFT + 230, BOTTOM + 233.7),
    "overlapping": Bounds(LEFT + 210, BOTTOM + 200, LEFT + 350, BOTTOM + 380),
    "elsewhere": Bounds(LEFT - 500, BOTTOM, LEFT - 400, BOTTOM + 10),
}


def image_of(photos: Any, core: Bounds, path: Path, resolution: float) -> Any:
    with ExitStack() as stack:
        mosaic = Mosaic.open(photos, UTM32, stack, resolution)
        written = write_image(path, mosaic, core, UTM32, WINDOWS)
    if written is None:
        return None, None
    with rasterio.open(path) as dataset:
        return written, (dataset.read(), dataset.transform)


@pytest.mark.parametrize("cell", [0.5, 1.0])
@settings(max_examples=5, deadline=None)
@given(x=st.integers(1, 399), y=st.integers(1, 399))
def test_an_image_cut_in_four_gives_the_same_bits(
    photos: Any, tmp_path_factory: pytest.TempPathFactory, x: int, y: int, cell: float
) -> None:
    path = tmp_path_factory.getbasetemp() / "image.tif"
    written, (whole, _) = image_of(photos, CORE, path, cell)
    assert written.objects == ("overlapping", "seam", "west")
    joined = np.zeros_like(whole)
    objects: set[str] = set()
    for left, right in ((0, x), (x, SIDE)):
        for bottom, top in ((0, y), (y, SIDE)):
            part = Bounds(LEFT + left, BOTTOM + bottom, LEFT + right, BOTTOM + top)
            found, data = image_of(photos, part, path, cell)
            if found is None:
                continue
            pixels, transform = data
            objects |= set(found.objects)
            row = round((CORE.top - transform.f) / cell)
            col = round((transform.c - LEFT) / cell)
            joined[:, row : row + pixels.shape[1], col : col + pixels.shape[2]] = pixels
    assert objects == set(written.objects)
    assert joined.tobytes() == whole.tobytes()
