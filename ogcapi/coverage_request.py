"""What a client asks of a coverage: query parameters to a window, or a refusal that says why.

OGC API - Coverages (19-087), requirements classes subsetting, scaling, field selection and CRS;
`scaleSize` and the axes Lat and Long are what GDAL 3.6 sends.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pyproj.exceptions import CRSError

from ogcapi import crs
from ogcapi.providers.mosaic import Mosaic

PARAMETERS = (
    *("bbox", "bbox-crs", "subset", "subset-crs", "datetime", "properties"),
    *("scale-size", "scaleSize", "scale-factor", "crs"),
)
OUTPUT_CODES = ("EPSG:4326", "EPSG:3857", "EPSG:4258", "EPSG:3035")
GEOGRAPHIC_X: tuple[str, ...] = ("lon", "long", "longitude")
GEOGRAPHIC_Y: tuple[str, ...] = ("lat", "latitude")
MAX_SIDE = 100_000  # cells
_AXIS = re.compile(r"([A-Za-z]+)\(([^()]*)\)")
Bounds = tuple[float, float, float, float]


class CoverageError(Exception):
    """A request that gets another answer than data: status, title and what to do."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail = status, title, detail


@dataclass(frozen=True)
class Wanted:
    """A request, checked: bounds are x, y in `bounds_crs`; sizes are columns, rows."""

    bounds: Bounds | None
    bounds_crs: str
    bands: tuple[int, ...]
    """1-based."""
    size: tuple[int, int] | None
    factor: float
    """Cells are this many times as wide as in the grid."""
    crs: str
    exact: bool
    """Whether the answer must lie on the bounds as given, also where there are no data."""


def offered_crs(mosaic: Mosaic) -> list[str]:
    """Return the URIs of the CRS that a coverage is offered in, its own first."""
    own = crs.uri_of(mosaic.crs)
    others = [crs.CRS84, *(crs.uri_of(code) for code in OUTPUT_CODES)]
    return [own, *(uri for uri in others if uri != own)]


def parse(given: Mapping[str, str], mosaic: Mosaic) -> Wanted:
    """Check query parameters against a coverage.

    Raises:
        CoverageError: 400 for what is unknown or wrong, 204 for another time.
    """
    own = crs.uri_of(mosaic.crs)
    axes = crs.axis_names(own)
    bounds, bounds_crs = _bounds(given, mosaic, own, axes)
    size, geographic = _size(given, axes)
    target = _crs(given.get("crs"), mosaic) if "crs" in given else None
    if target is None:
        target = crs.CRS84 if geographic else own
    _check_time(given.get("datetime"), mosaic)
    return Wanted(
        bounds=bounds,
        bounds_crs=bounds_crs,
        bands=_bands(given.get("properties"), mosaic),
        size=size,
        factor=_factor(given, size),
        crs=target,
        exact=size is not None and geographic and bounds is not None,
    )


def _bounds(
    given: Mapping[str, str], mosaic: Mosaic, own: str, axes: tuple[str, str]
) -> tuple[Bounds | None, str]:
    if "bbox" in given and "subset" in given:
        raise _wrong("bbox and subset", "one of them, not both")
    if "bbox-crs" in given and "bbox" not in given:
        raise _wrong("bbox-crs", "a bbox to go with it")
    if "bbox" in given:
        uri = _crs(given.get("bbox-crs"), mosaic) if "bbox-crs" in given else crs.CRS84
        try:
            box = crs.xy_bbox([float(part) for part in given["bbox"].split(",")], uri)
        except (ValueError, CRSError) as error:
            raise _wrong("bbox", "four or six finite numbers", given["bbox"]) from error
        return _ordered("bbox", box), uri
    if "subset" in given:
        return _subset(given["subset"], mosaic, own, axes)
    return None, own


def _subset(text: str, mosaic: Mosaic, own: str, axes: tuple[str, str]) -> tuple[Bounds, str]:
    spans = _axes(text, "subset")
    names = {name.lower() for name in spans}
    if names <= {*GEOGRAPHIC_X, *GEOGRAPHIC_Y}:
        uri = crs.CRS84
        box = crs.transform_bounds(mosaic.bounds, own, uri)
        x_names, y_names = GEOGRAPHIC_X, GEOGRAPHIC_Y
    else:
        uri, box = own, list(mosaic.bounds)
        x_names, y_names = _names(axes)
    for name, span in spans.items():
        if name.lower() in x_names:
            box[0], box[2] = _span(span, box[0], box[2], name)
        elif name.lower() in y_names:
            box[1], box[3] = _span(span, box[1], box[3], name)
        else:
            raise _wrong("subset", f"axes {axes[0]} and {axes[1]}, or Lon and Lat", name)
    return _ordered("subset", box), uri


def _span(text: str, low: float, high: float, axis: str) -> tuple[float, float]:
    parts = text.split(":")
    try:
        if len(parts) == 1:
            value = float(parts[0])
            span = value, value
        elif len(parts) == 2:
            span = tuple(  # type: ignore[assignment]
                end if part.strip() in ("*", "") else float(part)
                for part, end in zip(parts, (low, high), strict=True)
            )
        else:
            raise ValueError(text)
    except ValueError as error:
        raise _wrong("subset", f"{axis}(low:high) with numbers or *", f"{axis}({text})") from error
    if not all(math.isfinite(value) for value in span):
        raise _wrong("subset", "finite numbers", f"{axis}({text})")
    return span


def _size(given: Mapping[str, str], axes: tuple[str, str]) -> tuple[tuple[int, int] | None, bool]:
    """Return columns and rows, and whether they were asked for along Lon and Lat."""
    names = [name for name in ("scale-size", "scaleSize") if name in given]
    if not names:
        return None, False
    parameter = names[0]
    spans = {name.lower(): text for name, text in _axes(given[parameter], parameter).items()}
    x_names, y_names = _names(axes)
    geographic = set(spans) <= {*GEOGRAPHIC_X, *GEOGRAPHIC_Y}
    if geographic:
        x_names, y_names = GEOGRAPHIC_X, GEOGRAPHIC_Y
    x = [text for name, text in spans.items() if name in x_names]
    y = [text for name, text in spans.items() if name in y_names]
    if len(x) != 1 or len(y) != 1 or len(spans) != 2:
        example = f"{axes[0]}(columns),{axes[1]}(rows), or Lon(columns),Lat(rows)"
        raise _wrong(parameter, example, given[parameter])
    try:
        size = int(x[0]), int(y[0])
    except ValueError as error:
        raise _wrong(parameter, "whole numbers", given[parameter]) from error
    if not all(1 <= side <= MAX_SIDE for side in size):
        raise _wrong(parameter, f"numbers from 1 to {MAX_SIDE}", given[parameter])
    return size, geographic


def _names(axes: tuple[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names that x and y axis answer to: the authority's, and the usual ones."""
    return (axes[0].lower(), "x", "e"), (axes[1].lower(), "y", "n")


def _axes(text: str, parameter: str) -> dict[str, str]:
    """Split ``E(1:2),N(3:4)`` into its axes."""
    found = _AXIS.findall(text)
    if not found or ",".join(f"{name}({span})" for name, span in found) != text.replace(" ", ""):
        raise _wrong(parameter, "axis(value) or axis(low:high), separated by commas", text)
    if len({name.lower() for name, _ in found}) != len(found):
        raise _wrong(parameter, "each axis once", text)
    return dict(found)


def _factor(given: Mapping[str, str], size: tuple[int, int] | None) -> float:
    if "scale-factor" not in given:
        return 1.0
    if size is not None:
        raise _wrong("scale-factor and scale-size", "one of them, not both")
    try:
        factor = float(given["scale-factor"])
    except ValueError:
        factor = math.nan
    if not 1e-3 <= factor <= 1e6:
        expected = "a number above 0; 2 halves the resolution"
        raise _wrong("scale-factor", expected, given["scale-factor"])
    return factor


def _bands(text: str | None, mosaic: Mosaic) -> tuple[int, ...]:
    names = [band.name for band in mosaic.bands]
    if text is None:
        return tuple(range(1, len(names) + 1))
    wanted = text.split(",")
    for name in wanted:
        if name not in names:
            raise _wrong("properties", f"some of {', '.join(names)}", name)
    return tuple(names.index(name) + 1 for name in dict.fromkeys(wanted))


def _crs(text: str | None, mosaic: Mosaic) -> str:
    offered = offered_crs(mosaic)
    for uri in offered:
        try:
            if text == uri or (text and crs.same(text, uri)):
                return uri
        except CRSError:
            break
    raise _wrong("crs", f"one of {', '.join(offered)}", text or "")


def _check_time(text: str | None, mosaic: Mosaic) -> None:
    """A coverage stands for its whole period: another time has no data."""
    if text is None:
        return
    ends = text.split("/")
    if len(ends) > 2 or not all(re.fullmatch(r"\d{4}-\d\d-\d\d(T\S+)?|\.\.|", end) for end in ends):
        raise _wrong("datetime", "an instant or an interval such as 2023-01-01/..", text)
    if mosaic.period is None:
        return
    begin, _, end = mosaic.period.partition("/")
    first = ends[0][:10] if ends[0] not in ("", "..") else "0000"
    last = ends[-1][:10] if ends[-1] not in ("", "..") else "9999"
    if last < begin[:10] or first > (end or begin)[:10]:
        raise CoverageError(204, "No data", f"there are no data for {text}, only {mosaic.period}")


def _ordered(parameter: str, box: list[float]) -> Bounds:
    left, bottom, right, top = box
    if left > right or bottom > top:
        raise _wrong(parameter, "the lower value before the upper", ",".join(map(str, box)))
    return left, bottom, right, top


def _wrong(parameter: str, expected: str, got: str | None = None) -> CoverageError:
    tail = "" if got is None else f"; got {got!r}"
    return CoverageError(400, "Invalid query parameter", f"{parameter}: expected {expected}{tail}")
