"""The files of all batches, found by name in one folder, so that no command line names them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from processes.assess.mosaic import Mosaic
from processes.grid import Bounds
from processes.stage import InputDataError

CROWN_COLUMNS = {
    "tree_id": "str", "height_m": "float64", "area_m2": "float64", "diameter_m": "float64",
    "score": "float64", "flatness": "float64", "top_x": "float64", "top_y": "float64",
    "surface_date": "object",
}  # fmt: skip


@dataclass
class Gathered:
    """Crowns, structures, rasters and notes of all batches."""

    crowns: list[Path]
    surface: Mosaic
    sentinel2: Mosaic
    image: Mosaic
    prepared: dict[str, dict[str, Any]]
    crs: Any
    _extents: dict[tuple[Path, str], Bounds | None] = field(default_factory=dict)

    @classmethod
    def find(cls, folder: Path, crs: Any) -> Gathered:
        """Look for the batches' files in `folder`; other files are ignored.

        Raises:
            InputDataError: There are no crowns, or a file cannot be read.
        """
        crowns = sorted(folder.glob("crowns-*.gpkg"))
        if not crowns:
            raise InputDataError(
                "no crowns given",
                f"expected files named crowns-<batch>.gpkg in {folder.name or 'the folder'}, "
                "as the step detect writes them",
            )
        prepared = {
            path.stem.removeprefix("prepared-"): _read_json(path)
            for path in sorted(folder.glob("prepared-*.json"))
        }
        return cls(
            crowns=crowns,
            surface=Mosaic(sorted(folder.glob("ndom-*.tif"))),
            sentinel2=Mosaic(sorted(folder.glob("sentinel2-*.tif"))),
            image=Mosaic(sorted(folder.glob("image-*.tif"))),
            prepared=prepared,
            crs=crs,
        )

    def read_crowns(self, window: Bounds) -> Any:
        """Return the crowns that meet `window`, ordered by their tops, each once."""
        frame = self._read("crowns", window, [*CROWN_COLUMNS])
        frame = frame.astype({name: kind for name, kind in CROWN_COLUMNS.items() if name in frame})
        frame = frame.sort_values(["top_x", "top_y", "tree_id"], kind="stable")
        return frame.drop_duplicates("tree_id").reset_index(drop=True)

    def read_structures(self, window: Bounds) -> Any:
        """Return the raised flat areas that meet `window`, each once."""
        frame = self._read("structures", window, ["structure_id"])
        frame["structure_id"] = frame["structure_id"].astype("str")
        frame = frame.sort_values("structure_id", kind="stable")
        return frame.drop_duplicates("structure_id").reset_index(drop=True)

    def crowns_extent(self) -> Bounds | None:
        """Return the rectangle that holds all crowns, or None when there are none."""
        found = [extent for path in self.crowns if (extent := self._extent(path, "crowns"))]
        if not found:
            return None
        return Bounds(
            min(extent.left for extent in found),
            min(extent.bottom for extent in found),
            max(extent.right for extent in found),
            max(extent.top for extent in found),
        )

    def dates_used(self) -> set[str] | None:
        """Return the Sentinel-2 dates that entered the metrics; None when no file tells."""
        found = [notes["sentinel2"] for notes in self.prepared.values() if notes.get("sentinel2")]
        if not found:
            return None
        return {str(date)[:10] for notes in found for date in notes.get("dates_used", [])}

    def close(self) -> None:
        """Close all rasters."""
        for mosaic in (self.surface, self.sentinel2, self.image):
            mosaic.close()

    def _read(self, layer: str, window: Bounds, columns: list[str]) -> Any:
        frames = [frame for frame in self._parts(layer, window, columns) if len(frame)]
        if frames:
            return pd.concat(frames, ignore_index=True)
        empty = {name: pd.Series(dtype=CROWN_COLUMNS.get(name, "str")) for name in columns}
        return gpd.GeoDataFrame(empty, geometry=gpd.GeoSeries([], crs=self.crs))

    def _parts(self, layer: str, window: Bounds, columns: list[str]) -> Iterator[Any]:
        for path in self.crowns:
            extent = self._extent(path, layer)
            if extent is None or not extent.grow(1e-6).intersects(window):
                continue
            frame = pyogrio.read_dataframe(
                path, layer=layer, bbox=window.as_tuple(), columns=columns
            )
            lacking = [name for name in columns if name not in frame]
            if lacking:
                raise InputDataError(
                    "crowns file lacks columns", f"{path.name}, layer {layer}: {', '.join(lacking)}"
                )
            yield frame

    def _extent(self, path: Path, layer: str) -> Bounds | None:
        key = (path, layer)
        if key not in self._extents:
            self._extents[key] = self._look_up(path, layer)
        return self._extents[key]

    def _look_up(self, path: Path, layer: str) -> Bounds | None:
        try:
            if layer not in set(pyogrio.list_layers(path)[:, 0]):
                return None
            info = pyogrio.read_info(path, layer=layer, force_total_bounds=True)
        except (DataSourceError, DataLayerError) as error:
            raise InputDataError("vector file cannot be read", f"{path.name}: {error}") from error
        if not info["features"]:
            return None
        if info["crs"] is not None and not self.crs.equals(info["crs"]):
            raise InputDataError(
                "coordinate reference systems differ",
                f"{path.name} is in {info['crs']}, the objects are in {self.crs.to_string()}",
            )
        left, bottom, right, top = info["total_bounds"]
        return Bounds(left, bottom, right, top)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputDataError("JSON file cannot be read", f"{path.name}: {error}") from error
    if not isinstance(document, dict):
        raise InputDataError("JSON file cannot be read", f"{path.name}: expected an object")
    return document
