"""Features of a GeoPackage for pygeoapi 0.21 and 0.24: read-only, in pages that cost the same.

pygeoapi's own GeoPackage provider needs SQLite extensions, writes into the file and pages by
scanning. What this one cannot do it refuses (400) instead of answering with everything.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import shapely
from pygeoapi.provider.base import (
    BaseProvider,
    ProviderConnectionError,
    ProviderInvalidQueryError,
    ProviderItemNotFoundError,
)
from pyproj.exceptions import CRSError

from ogcapi import crs
from ogcapi.providers.geojson import geojson_of
from ogcapi.providers.geopackage import (
    GeoPackageError,
    Search,
    Table,
    one,
    open_table,
    page,
    shapes_of,
)

JSON_KINDS = ("array", "object")
MAX_INTEGER = 2**63 - 1  # of SQLite


class GeoPackageFeatures(BaseProvider):  # type: ignore[misc]
    """One layer of a GeoPackage.

    Of the provider definition it reads ``data`` (path), ``table``, ``id_field`` (used when the
    layer has a unique index on it, else the feature id), ``storage_crs`` and ``columns`` (kind,
    unit and codes by column, as a release's manifest has them; JSON kinds are text in the file).
    """

    def __init__(self, provider_def: Mapping[str, Any]) -> None:
        super().__init__(dict(provider_def))
        self.storage_uri = str(provider_def.get("storage_crs", crs.CRS84))
        self._described = provider_def.get("columns") or {}
        self._fields: dict[str, dict[str, Any]] = {}
        self._table = self._open(Path(self.data), str(provider_def["table"]))
        # So that names which are no properties reach query() and are refused there.
        self.include_extra_query_parameters = True
        self.get_fields()

    def get_fields(self) -> dict[str, dict[str, Any]]:
        """Return the properties with JSON Schema type, unit (UCUM) and codes."""
        if not self._fields:
            self._fields = {name: self._field(name, kind) for name, kind in self._table.columns}
        return self._fields

    def query(
        self,
        offset: int = 0,
        limit: int = 10,
        resulttype: str = "results",
        bbox: Sequence[float] = (),
        datetime_: str | None = None,
        properties: Sequence[tuple[str, str]] = (),
        sortby: Sequence[Mapping[str, str]] = (),
        select_properties: Sequence[str] = (),
        skip_geometry: bool = False,
        q: str | None = None,
        filterq: Any = None,
        crs_transform_spec: Any = None,
        **_: Any,
    ) -> dict[str, Any]:
        """Return a page as a GeoJSON FeatureCollection with numberMatched.

        Features have no time of their own, so `datetime_` matches all of them (OGC API - Features
        1.0.1, requirement /req/core/fc-time-response).

        Raises:
            ProviderInvalidQueryError: Something is asked for that is unknown or not offered.
        """
        if q or filterq is not None:
            raise _invalid("free text search (q) and filter expressions are not offered here")
        if resulttype not in ("results", "hits"):
            raise _invalid(f"resulttype is {resulttype!r}; expected results or hits")
        search = Search(
            box=self._box(bbox),
            equal=tuple(sorted((name, self._value(name, text)) for name, text in properties)),
            order=tuple(
                (self._sortable(item["property"]), item["order"] == "-") for item in sortby
            ),
        )
        columns = self._columns(select_properties)
        size = 0 if resulttype == "hits" else limit
        matched, rows = page(self._table, search, offset, size, columns, not skip_geometry)
        features = self._features(rows, columns, not skip_geometry, crs_transform_spec)
        return {
            "type": "FeatureCollection",
            "numberMatched": matched,
            "numberReturned": len(features),
            "features": features,
        }

    def get(self, identifier: str, crs_transform_spec: Any = None, **_: Any) -> dict[str, Any]:
        """Return one feature.

        Raises:
            ProviderItemNotFoundError: There is none with that id.
        """
        by_name = self._id_column() is not None
        row = None
        if by_name or (str(identifier).isascii() and str(identifier).isdigit()):
            value = str(identifier) if by_name else min(int(identifier), MAX_INTEGER)
            row = one(self._table, self._id_column() or self._table.key, value)
        if row is None:
            raise ProviderItemNotFoundError(user_msg=f"there is no item {identifier!r}")
        columns = [name for name, _ in self._table.columns]
        return self._features([row], columns, True, crs_transform_spec)[0]

    @staticmethod
    def _open(path: Path, table: str) -> Table:
        try:
            return open_table(path, table)
        except GeoPackageError as error:
            raise ProviderConnectionError(user_msg=str(error)) from error

    def _field(self, name: str, kind: str) -> dict[str, Any]:
        described = self._described.get(name, {})
        field: dict[str, Any] = {"title": name, "type": kind}
        if described.get("type") in JSON_KINDS:
            field["type"] = described["type"]
        elif described.get("type") == "date":
            field["format"] = "date"
        if described.get("unit"):
            field["x-ogc-unit"] = described["unit"]
        if described.get("enum"):
            field["enum"] = field["values"] = list(described["enum"])
        return field

    def _id_column(self) -> str | None:
        return self.id_field if self.id_field in self._table.unique else None

    def _box(self, bbox: Sequence[float]) -> tuple[float, float, float, float] | None:
        if not bbox:
            return None
        try:
            left, bottom, right, top = crs.xy_bbox(bbox, self.storage_uri)
        except CRSError as error:
            raise _invalid(str(error)) from error
        if left > right or bottom > top:
            raise _invalid("the lower corner of bbox must come before the upper one")
        return left, bottom, right, top

    def _value(self, name: str, text: str) -> Any:
        kind = self._known(name)["type"]
        if kind in JSON_KINDS:
            raise _invalid(f"property {name!r} holds JSON and cannot be filtered by")
        if kind in ("integer", "number"):
            return _number(name, kind, text)
        if kind == "boolean":
            if text.lower() not in ("true", "false"):
                raise _invalid(f"property {name!r} is true or false, got {text!r}")
            return int(text.lower() == "true")
        return text

    def _known(self, name: str) -> dict[str, Any]:
        field = self._fields.get(name)
        if field is None:
            raise _invalid(
                f"unknown parameter or property {name!r}; known: {', '.join(self._fields)}"
            )
        return dict(field)

    def _sortable(self, name: str) -> str:
        if self._known(name)["type"] in JSON_KINDS:
            raise _invalid(f"property {name!r} holds JSON and cannot be sorted by")
        return name

    def _columns(self, selected: Sequence[str]) -> list[str]:
        for name in selected:
            self._known(name)
        columns = [name for name, _ in self._table.columns if not selected or name in selected]
        column = self._id_column()
        return columns if column is None or column in columns else [column, *columns]

    def _features(
        self, rows: Sequence[sqlite3.Row], columns: Sequence[str], shapes: bool, spec: Any
    ) -> list[dict[str, Any]]:
        geometries: list[Any] = [None] * len(rows)
        if shapes and rows:
            geometries = self._geometries([row[self._table.geometry] for row in rows], spec)
        id_column = self._id_column() or self._table.key
        json_columns = [name for name in columns if self._fields[name]["type"] in JSON_KINDS]
        features = []
        for row, geometry in zip(rows, geometries, strict=True):
            properties = {name: row[name] for name in columns}
            for name in json_columns:
                properties[name] = _parsed(properties[name])
            features.append(
                {
                    "type": "Feature",
                    "id": row[id_column],
                    "geometry": geometry,
                    "properties": properties,
                }
            )
        return features

    def _geometries(self, blobs: Sequence[bytes | None], spec: Any) -> list[Any]:
        target = self.storage_uri if spec is None else str(spec.target_crs_uri)
        shapes = shapes_of(blobs)
        if spec is not None or crs.north_first(target):
            shapes = shapely.transform(
                shapes, lambda points: crs.transform_points(points, self.storage_uri, target)
            )
        return geojson_of(shapes)


def _number(name: str, kind: str, text: str) -> int | float:
    try:
        value = int(text) if kind == "integer" else float(text)
    except ValueError as error:
        raise _invalid(f"property {name!r} is {kind}, got {text!r}") from error
    if not abs(value) <= MAX_INTEGER:
        raise _invalid(f"property {name!r} cannot be {text!r}: not a number a file can hold")
    return value


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text


def _invalid(message: str) -> ProviderInvalidQueryError:
    return ProviderInvalidQueryError(user_msg=message)
