"""The objects to judge, with earlier human decisions beside them.

A person's decision is kept apart from the machine's verdict: it is shown, it changes nothing.
"""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd

from processes.stage import InputDataError
from processes.vector import read_layer

VERDICTS = ("confirmed", "rejected", "uncertain")


def read_objects(path: Path) -> Any:
    """Read the inventory's objects, ordered by id.

    Raises:
        InputDataError: The file lacks the CRS, ids or polygons, or an id is there twice.
    """
    frame = read_layer(path, "objects")
    if frame.crs is None or not frame.crs.is_projected:
        raise InputDataError(
            "objects lack a metric CRS", f"{path.name} has {frame.crs}; expected a projected CRS"
        )
    if "object_id" not in frame:
        raise InputDataError("objects lack ids", f"{path.name} has no column object_id")
    frame["object_id"] = frame["object_id"].astype("str")
    twice = frame["object_id"][frame["object_id"].duplicated()]
    if len(twice):
        raise InputDataError("object id is not unique", f"{path.name}: {twice.iloc[0]}")
    bad = frame.geometry.isna() | frame.geometry.is_empty | ~frame.geometry.is_valid
    bad |= ~frame.geometry.geom_type.isin(["Polygon", "MultiPolygon"])
    if bad.any():
        raise InputDataError(
            "object has no valid polygon",
            f"{path.name}: {frame['object_id'][bad].iloc[0]}; the step ingest repairs geometries",
        )
    return frame.sort_values("object_id", kind="stable").reset_index(drop=True)


def read_decisions(path: Path | None) -> dict[str, tuple[str, str]]:
    """Read people's decisions: object id -> (verdict, date); the latest of an object counts.

    Args:
        path: CSV (comma or semicolon), GeoPackage or GeoJSON with object_id, verdict_human and
            decided (ISO date); None gives no decisions.

    Raises:
        InputDataError: A column is missing, or a verdict or date is none.
    """
    if path is None:
        return {}
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _layer_rows(path)
    latest: dict[str, tuple[str, str]] = {}
    for number, row in enumerate(rows, 1):
        where = f"{path.name}, entry {number}"
        try:
            object_id, verdict = str(row["object_id"]), str(row["verdict_human"]).strip()
            decided = dt.date.fromisoformat(str(row["decided"])[:10]).isoformat()
        except KeyError as error:
            raise InputDataError("decisions lack a column", f"{where}: {error}") from error
        except ValueError as error:
            raise InputDataError("decision has no valid date", f"{where}: {error}") from error
        if verdict not in VERDICTS:
            raise InputDataError(
                "decision is no verdict", f"{where}: {verdict!r}, expected {', '.join(VERDICTS)}"
            )
        if object_id not in latest or decided >= latest[object_id][1]:
            latest[object_id] = (verdict, decided)
    return latest


def inventory_date(value: Any, fallback: dt.date | None) -> dt.date | None:
    """Return an object's survey date, or `fallback` when it has none that can be read."""
    if value is None or pd.isna(value):
        return fallback
    text = str(value).strip()
    # A year or month alone means that data of the same year or month may be older: take its end.
    try:
        if len(text) == 4:
            return dt.date(int(text), 12, 31)
        if len(text) == 7:
            first = dt.date.fromisoformat(f"{text}-01")
            return (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
        return dt.date.fromisoformat(text[:10])
    except ValueError:
        return fallback


def period_end(period: str) -> dt.date:
    """Return the last day of an ISO 8601 interval such as ``2023-01-01/2023-12-31``."""
    try:
        return dt.date.fromisoformat(period.split("/")[1][:10])
    except (IndexError, ValueError) as error:
        raise InputDataError(
            "period is not valid", f"{period!r}; expected for example 2023-01-01/2023-12-31"
        ) from error


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputDataError("decisions cannot be read", f"{path.name}: {error}") from error
    head = text.partition("\n")[0]
    delimiter = ";" if head.count(";") > head.count(",") else ","
    return list(csv.DictReader(text.splitlines(), delimiter=delimiter))


def _layer_rows(path: Path) -> list[dict[str, Any]]:
    frame = pd.DataFrame(read_layer(path))
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
