"""The rasters of a release: one COG per run and home tile, those of earlier runs named, not copied.

Readers lay them over each other in the order of the manifest, the newest on top; that works only
when they share one grid, so this is checked here.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely
from pyproj import CRS
from rasterio.errors import RasterioError

from processes.publish.checks import Checks
from processes.raster import open_raster
from processes.stage import InputDataError, complete

GRID_TOLERANCE = 1e-3  # cells
Entry = dict[str, Any]


@dataclass(frozen=True)
class Coverage:
    """A raster collection: its name in the release and the files it is made of."""

    name: str
    prefix: str
    units: tuple[str, ...]


COVERAGES = (
    Coverage("ndom", "ndom-", ("m",)),
    Coverage("ndvi", "sentinel2-", ("1", "1", "1", "1", "1", "1", "1", "d", "d")),
)


def describe(
    coverage: Coverage, folder: Path, previous: Mapping[str, Any] | None, version: str | None
) -> dict[str, Any] | None:
    """Describe a raster collection for the manifest; None when there is no raster of it.

    Rasters of the previous release stay, below the new ones, unless the new ones cover them.

    Raises:
        InputDataError: A raster cannot be read.
    """
    paths = sorted(folder.glob(f"{coverage.prefix}*.tif"))
    entries, bands, nodata = [], [], None
    for path in paths:
        with open_raster(path) as raster:
            entries.append(_entry(path.name, raster))
            nodata = raster.nodata
            bands = [
                {
                    "name": text or f"band{index + 1}",
                    "unit": unit or (coverage.units[index] if index < len(coverage.units) else ""),
                    "dtype": dtype,
                }
                for index, (text, unit, dtype) in enumerate(
                    zip(raster.descriptions, raster.units, raster.dtypes, strict=True)
                )
            ]
    if coverage.name == "ndom" and bands and bands[0]["name"] == "band1":
        bands[0]["name"] = "ndom"
    before = (previous or {}).get("collections", {}).get(coverage.name)
    carried = _carried(before, entries, version) if before else []
    if not entries and not carried:
        return None
    if not entries and before:
        bands, nodata = before["bands"], before["nodata"]
    if nodata is not None and nodata != nodata:
        nodata = "nan"  # JSON has no word for it
    return {"rasters": entries + carried, "bands": bands, "nodata": nodata}


def check_rasters(
    checks: Checks, folder: Path, described: Mapping[str, Mapping[str, Any]], crs: str
) -> None:
    """Every new raster reads to its last block, has the CRS of the run and lies on one grid."""
    wanted = CRS.from_user_input(crs)
    faults: list[str] = []
    count = 0
    for collection in described.values():
        first = collection["rasters"][0]
        for entry in collection["rasters"]:
            fault = _off_grid(entry, first)
            if fault:
                faults.append(fault)
            if entry["release"] is None:
                count += 1
                faults += _unreadable(folder / entry["file"], wanted, crs)
    checks.record("rasters", faults, f"{count} rasters read to the last block, all on one grid")


def copy(folder: Path, target: Path, described: Mapping[str, Mapping[str, Any]]) -> None:
    """Copy this run's rasters into the release."""
    for collection in described.values():
        for entry in collection["rasters"]:
            if entry["release"] is None:
                with complete(target / entry["file"]) as partial:
                    shutil.copyfile(folder / entry["file"], partial)


def _entry(name: str, raster: Any) -> Entry:
    return {
        "release": None,
        "file": name,
        "bounds": list(raster.bounds),
        "res": list(raster.res),
        "transform": list(raster.transform)[:6],
        "width": raster.width,
        "height": raster.height,
        "bands": raster.count,
        "dtype": raster.dtypes[0],
    }


def _carried(before: Mapping[str, Any], new: Sequence[Entry], version: str | None) -> list[Entry]:
    cover = shapely.union_all([shapely.box(*entry["bounds"]) for entry in new])
    return [
        {**entry, "release": entry["release"] or version}
        for entry in before["rasters"]
        if not cover.covers(shapely.box(*entry["bounds"]))
    ]


def _off_grid(entry: Entry, first: Entry) -> str | None:
    x_cell, y_cell = first["res"]
    shift_x = (entry["bounds"][0] - first["bounds"][0]) / x_cell
    shift_y = (entry["bounds"][3] - first["bounds"][3]) / y_cell
    aligned = (
        abs(shift_x - round(shift_x)) < GRID_TOLERANCE
        and abs(shift_y - round(shift_y)) < GRID_TOLERANCE
        and all(
            abs(a - b) < GRID_TOLERANCE * b for a, b in zip(entry["res"], first["res"], strict=True)
        )
    )
    if not aligned or entry["bands"] != first["bands"] or entry["dtype"] != first["dtype"]:
        corner = entry["bounds"][0], entry["bounds"][3]
        return (
            f"{entry['file']} has cells of {entry['res']}, {entry['bands']} {entry['dtype']} bands "
            f"and its corner at {corner}; not on the grid of {first['file']}"
        )
    return None


def _unreadable(path: Path, wanted: CRS, crs: str) -> list[str]:
    faults = []
    try:
        with open_raster(path) as raster:
            if raster.crs is None or not CRS.from_user_input(raster.crs).equals(wanted):
                faults.append(f"{path.name} has {raster.crs or 'no CRS'}, expected {crs}")
            if raster.transform.b or raster.transform.d:
                faults.append(f"{path.name} is rotated, expected north up")
            if raster.nodata is None:
                faults.append(f"{path.name} does not say what its nodata value is")
            for _, window in raster.block_windows(1):
                raster.read(window=window)
    except (RasterioError, InputDataError) as error:
        faults.append(f"{path.name} cannot be read: {error}")
    return faults
