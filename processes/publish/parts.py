"""Layers are read and written in parts of neighbouring ids: memory does not grow with the area.

What brings rows together (a crown that two runs saw, an id that is there twice) compares ids, so
no part needs another.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from processes.publish.layers import PROVENANCE, Kind, Layer
from processes.stage import InputDataError, complete
from processes.vector import add_index, append, read_layer

ROWS = 20_000  # rows of a part, those of both files together
NO_ROWS = "1 = 0"


@dataclass(frozen=True)
class Source:
    """Where the rows of a layer come from: the run's file and that of the release before.

    Attributes:
        layer: The layer.
        new: GeoPackage of the run.
        old: GeoPackage of the release before, if there is one.
        kinds: All columns of the two, those of the layer first, further ones behind them by name.
        provenance: What the run's rows say of where they are from.
    """

    layer: Layer
    new: Path
    old: Path | None
    kinds: Mapping[str, Kind]
    provenance: str

    @property
    def file(self) -> str:
        """Name of the layer's file in a release."""
        return f"{self.layer.name}.gpkg"

    @classmethod
    def of(
        cls, layer: Layer, new: Path, new_head: Any, old: Path | None, provenance: str
    ) -> Source:
        """Look at the columns of the files; `new_head` is what `read_head` gives of `new`.

        Raises:
            InputDataError: A file cannot be read.
        """
        found: dict[str, Kind] = {PROVENANCE: "string"}
        for head in [new_head] if old is None else [new_head, read_head(old, layer)]:
            columns = [name for name in head.columns if name != head.geometry.name]
            found = {name: _kind_of(head[name]) for name in columns} | found
        known = [name for name in layer.columns if name in found]
        kinds = {name: layer.columns[name].kind for name in known}
        kinds |= {name: found[name] for name in sorted(set(found) - set(known))}
        return cls(layer, new, old, kinds, provenance)

    def parts(self) -> Iterator[tuple[Any, Any | None]]:
        """Give the run's rows and those of the release before (None without one), part by part.

        Columns have the types of the release, in the order of `kinds`; those that a file lacks are
        empty.

        Raises:
            InputDataError: A file cannot be read, or a value does not fit its column.
        """
        for where in self._conditions():
            new = self._read(self.new, where)
            new[PROVENANCE] = self.provenance
            yield new, None if self.old is None else self._read(self.old, where)

    def _conditions(self) -> list[str]:
        """Return SQL conditions on the id, one a part; rows without id are in the first."""
        name = f'"{self.layer.id_field}"'
        starts = list(dict.fromkeys(self._starts()))
        if not starts:
            return ["1 = 1"]
        between = [f"{name} >= {low} AND {name} < {high}" for low, high in pairwise(starts)]
        first, last = f"{name} < {starts[0]} OR {name} IS NULL", f"{name} >= {starts[-1]}"
        return [first, *between, last]

    def _starts(self) -> list[str]:
        """Return every `ROWS`-th id of the files together, as SQL."""
        paths = [path for path in (self.new, self.old) if path is not None]
        name, table = self.layer.id_field, self.layer.name
        rows = " UNION ALL ".join(
            f'SELECT "{name}" AS id FROM file{number}."{table}"'  # noqa: S608  our own names
            for number in range(len(paths))
        )
        try:
            with closing(sqlite3.connect("file::memory:", uri=True)) as connection:
                for number, path in enumerate(paths):
                    uri = f"{path.absolute().as_uri()}?mode=ro"
                    connection.execute(f"ATTACH ? AS file{number}", (uri,))
                ids = connection.execute(
                    f"SELECT quote(id) FROM ({rows}) WHERE id IS NOT NULL ORDER BY id"  # noqa: S608
                )
                return [start for (start,) in islice(ids, ROWS, None, ROWS)]
        except sqlite3.Error as error:
            names = ", ".join(path.name for path in paths)
            raise InputDataError(
                "vector file cannot be read", f"{names}: {error}; expected GeoPackages"
            ) from error

    def _read(self, path: Path, where: str) -> Any:
        frame = read_layer(path, self.layer.name, where=where)
        nothing = pd.Series(None, index=frame.index, dtype="object")
        columns = {
            name: _cast(frame[name] if name in frame.columns else nothing, kind, path, name)
            for name, kind in self.kinds.items()
        }
        return gpd.GeoDataFrame(columns, geometry=frame.geometry.array, crs=frame.crs)


def read_head(path: Path, layer: Layer) -> Any:
    """Read the columns and the CRS of a layer, without any rows.

    Raises:
        InputDataError: The file cannot be read.
    """
    return read_layer(path, layer.name, where=NO_ROWS)


def write(path: Path, layer: Layer, parts: Iterable[Any]) -> None:
    """Write frames, each with greater ids than the one before, as one layer ordered by id."""
    with complete(path) as partial:
        for frame in parts:
            ordered = frame.sort_values(layer.id_field, kind="stable").reset_index(drop=True)
            if layer.geometry_type == "MultiPolygon":
                ordered = ordered.set_geometry(_multi(ordered.geometry), crs=frame.crs)
            append(partial, layer.name, ordered, layer.geometry_type)


def add_indexes(path: Path, layer: Layer, columns: Container[str]) -> None:
    """Add a unique index on the id and one on each of the searched columns among `columns`."""
    add_index(path, layer.name, layer.id_field, unique=True)
    for name in layer.indexed:
        if name in columns:
            add_index(path, layer.name, name)


def _cast(values: Any, kind: Kind, path: Path, name: str) -> Any:
    try:
        if kind == "integer":
            return pd.array(pd.to_numeric(values), dtype="Int64")
        if kind == "number":
            return pd.to_numeric(values).astype("float64")
    except (TypeError, ValueError) as error:
        raise InputDataError(
            "check failed: schema",
            f"{path.name}: column {name!r} must be {kind}: {error}",
        ) from error
    if pd.api.types.is_datetime64_any_dtype(values):
        values = values.dt.strftime("%Y-%m-%d")
    return values.astype("object").where(values.notna(), None)


def _kind_of(values: Any) -> Kind:
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_integer_dtype(values):
        return "integer"
    return "number" if pd.api.types.is_numeric_dtype(values) else "string"


def _multi(geometries: Any) -> list[Any]:
    return [
        shapely.MultiPolygon([shape])
        if shape is not None and shape.geom_type == "Polygon"
        else shape
        for shape in geometries
    ]
