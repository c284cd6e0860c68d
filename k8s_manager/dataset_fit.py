"""Whether a run fits the dataset that it would publish to: its CRS and its declared area.

A request is checked as far as it tells (its inputs `crs` and `bbox`), so that nobody waits for a
run in vain; the release is checked before it becomes current, whatever process wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from k8s_manager.bbox import crs_name
from k8s_manager.dataset_settings import Dataset, Rectangle
from k8s_manager.errors import Violation

MANIFEST = "manifest.json"

_SLACK = 0.01  # of the CRS's unit: what rounding may add to a release's area


def request_misfits(dataset: Dataset, values: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield why a run with these input values could not be published.

    Args:
        dataset: The dataset that it would publish to.
        values: Input values with their defaults; those that a process does not have are not asked.
    """
    crs = values.get("crs")
    if isinstance(crs, str) and crs_name(crs) != dataset.crs:
        expected = f"{dataset.crs}, the CRS of the dataset {dataset.name}"
        yield Violation("crs", "/inputs/crs", expected, crs)
    box = values.get("bbox")
    if dataset.area is None or not isinstance(box, Mapping):
        return
    given = str(box.get("crs") or "OGC:CRS84")
    bounds = _projected(box["bbox"], given, dataset.crs)
    if bounds is None:
        yield Violation("bbox", "/inputs/bbox/crs", "a known coordinate reference system", given)
    elif not _within(bounds, dataset.area):
        got = f"{_shown(bounds)} in {dataset.crs}"
        yield Violation("bbox", "/inputs/bbox", _expected(dataset), got)


def release_misfit(dataset: Dataset, folder: Path) -> str | None:
    """Return why the release in a folder does not fit the dataset; None when it does.

    A release without a manifest is not served, so nothing is asked of it.

    Raises:
        OSError: The manifest is there and cannot be read now.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        crs, area = manifest["crs"], manifest["run_area"]
        bounds = _bounds(area["coordinates"])
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError) as error:
        return f"its {MANIFEST} names no crs and run_area that can be understood ({error!r})"
    if crs_name(str(crs)) != dataset.crs:
        return f"it is in {crs}; expected {dataset.crs}, the CRS of the dataset {dataset.name}"
    if dataset.area is not None and not _within(bounds, dataset.area):
        return f"its area has the extent {_shown(bounds)}; expected {_expected(dataset)}"
    return None


def _expected(dataset: Dataset) -> str:
    assert dataset.area is not None  # noqa: S101  asked before
    return f"inside {_shown(dataset.area)} in {dataset.crs}, the area of dataset {dataset.name}"


def _projected(numbers: list[float], given: str, crs: str) -> Rectangle | None:
    """Return the extent (x east, y north) in `crs` of a box whose axes are in its CRS's order.

    None when the box's CRS is not known.
    """
    from pyproj import CRS, Transformer  # a server that checks no box does without
    from pyproj.exceptions import CRSError

    half = len(numbers) // 2
    first, second = numbers[0::half], numbers[1::half]
    try:
        axes = CRS(given).axis_info
        transformer = Transformer.from_crs(given, crs, always_xy=True)
    except CRSError:
        return None
    if axes[0].direction.lower() == "north":
        first, second = second, first
    left, bottom, right, top = transformer.transform_bounds(
        first[0], second[0], first[1], second[1]
    )
    return left, bottom, right, top


def _bounds(coordinates: Any) -> Rectangle:
    points = list(_points(coordinates))
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    return min(xs), min(ys), max(xs), max(ys)


def _points(coordinates: Any) -> Iterator[tuple[float, float]]:
    if isinstance(coordinates[0], int | float):
        yield coordinates[0], coordinates[1]
        return
    for part in coordinates:
        yield from _points(part)


def _within(inner: Rectangle, outer: Rectangle) -> bool:
    low = all(a >= b - _SLACK for a, b in zip(inner[:2], outer[:2], strict=True))
    high = all(a <= b + _SLACK for a, b in zip(inner[2:], outer[2:], strict=True))
    return low and high


def _shown(bounds: Rectangle) -> str:
    return "[" + ", ".join(f"{value:.10g}" for value in (round(v, 1) for v in bounds)) + "]"
