"""Coordinate reference systems as people write them, and geometries moved between them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Proj, Transformer
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from processes.stage import InputDataError

LONLAT = "OGC:CRS84"
_MAX_AREA_ERROR = 0.05


@lru_cache(maxsize=64)
def parse_crs(text: str) -> CRS:
    """Read a CRS given as ``EPSG:25832``, URN, OGC address or WKT.

    Raises:
        InputDataError: PROJ does not know it.
    """
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise InputDataError(
            "coordinate reference system not known",
            f"{text[:80]!r}: expected a code such as EPSG:25832 ({error})",
        ) from error


def metric_crs(text: str) -> CRS:
    """Read the CRS of a run: projected, axes in metres.

    Raises:
        InputDataError: It is unknown, geographic, or counts in feet.
    """
    crs = parse_crs(text)
    if not crs.is_projected or any(axis.unit_name != "metre" for axis in crs.axis_info[:2]):
        raise InputDataError(
            "coordinate reference system not usable",
            f"`crs` is {text} ({crs.name}); the stages measure in metres, so it must be a "
            "projected one such as EPSG:25832",
        )
    return crs


def check_scale(geometry: BaseGeometry, crs: CRS) -> None:
    """Refuse a CRS whose metres are none where `geometry` (in `crs`) lies, such as web maps'.

    Raises:
        InputDataError: Areas are wrong by more than 5 %, so trees per hectare would be, too.
    """
    point = shapely.point_on_surface(geometry)
    lon, lat = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(
        point.x, point.y
    )
    areal = Proj(crs).get_factors(lon, lat).areal_scale
    if not abs(areal - 1) <= _MAX_AREA_ERROR:
        raise InputDataError(
            "coordinate reference system not usable",
            f"in {crs.name} the area comes out {areal:.2f} times as large as it is; run in the "
            "CRS of the country's own data, such as EPSG:25832",
        )


@lru_cache(maxsize=256)
def same_crs(first: CRS, second: CRS) -> bool:
    """Tell whether two CRS describe the same coordinates, also when one is WKT without a code."""
    if first == second:
        return True
    if first.equals(second, ignore_axis_order=True):
        return True
    codes = [crs.to_epsg(min_confidence=25) for crs in (first, second)]
    return codes[0] is not None and codes[0] == codes[1]


def moved(geometry: BaseGeometry, source: CRS, target: CRS) -> BaseGeometry:
    """Transform a geometry (x east, y north in both)."""
    if same_crs(source, target):
        return geometry
    transformer = _transformer(source.to_wkt(), target.to_wkt())

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))

    result: BaseGeometry = shapely.transform(geometry, project)
    return result


@lru_cache(maxsize=64)
def code_of(crs: CRS) -> tuple[str, str] | None:
    """Return authority and code, such as ("EPSG", "25832"), also of WKT that does not name them."""
    found = crs.to_authority(min_confidence=25)
    return (str(found[0]), str(found[1])) if found else None


@lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> Any:
    return Transformer.from_crs(source, target, always_xy=True)
