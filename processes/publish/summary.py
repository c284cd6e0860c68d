"""The numbers of a release: how many objects and hectares by verdict, reason, size, municipality.

Shares carry Wilson score intervals (Wilson 1927), which stay inside 0..1 also for small counts.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any

from processes.publish.layers import VERDICTS

Z_95 = 1.959963984540054
SQUARE_METRES_PER_HECTARE = 10_000
SMALL_HA, MIDDLE_HA = 0.15, 0.25
SIZE_CLASSES = ("<0.15 ha", "0.15-0.25 ha", ">=0.25 ha")
Row = dict[str, Any]


def summarise_objects(frame: Any) -> dict[str, Any]:
    """Count the objects of a release.

    Returns:
        ``total``, ``hectares``, ``by_verdict``, ``shares`` (with 95 % interval), ``by_reason``
        (main reason), ``by_size_class`` and ``by_municipality`` (with hectares).
    """
    rows = [
        (verdict, rejected_as, reason, municipality, float(area or 0) / SQUARE_METRES_PER_HECTARE)
        for verdict, rejected_as, reason, municipality, area in zip(
            frame["verdict"],
            _optional(frame, "rejected_as"),
            frame["reason_main"],
            _optional(frame, "municipality"),
            frame["area_m2"].fillna(0),
            strict=True,
        )
    ]
    total = len(rows)
    verdicts = Counter(row[0] for row in rows)
    return {
        "total": total,
        "hectares": _hectares(row[4] for row in rows),
        "by_verdict": {verdict: verdicts[verdict] for verdict in VERDICTS},
        "shares": {verdict: share(verdicts[verdict], total) for verdict in VERDICTS},
        "by_reason": dict(sorted(Counter(str(row[2] or "") for row in rows).items())),
        "by_verdict_and_reason": _table(
            rows, ("verdict", "rejected_as", "reason"), lambda row: (row[0], row[1], row[2])
        ),
        "by_verdict_reason": {
            verdict: dict(sorted(Counter(str(r[2] or "") for r in rows if r[0] == verdict).items()))
            for verdict in VERDICTS
        },
        "by_size_class": {
            name: {
                "objects": sum(1 for row in rows if size_class(row[4]) == name),
                "hectares": _hectares(row[4] for row in rows if size_class(row[4]) == name),
                **{
                    verdict: sum(
                        1 for row in rows if row[0] == verdict and size_class(row[4]) == name
                    )
                    for verdict in VERDICTS
                },
            }
            for name in SIZE_CLASSES
        },
        "by_municipality": _by_municipality(rows),
    }


def wilson(count: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """Return the Wilson score interval of `count` out of `total`; (0, 1) when `total` is 0."""
    if total == 0:
        return 0.0, 1.0
    p = count / total
    centre = p + z * z / (2 * total)
    margin = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)


def share(count: int, total: int) -> dict[str, float | None]:
    """Return a share with its 95 % interval; the share is None when there is nothing to share."""
    low, high = wilson(count, total)
    return {
        "share": round(count / total, 4) if total else None,
        "low": round(low, 4),
        "high": round(high, 4),
    }


def size_class(hectares: float) -> str:
    """Return the size class that the reports of the state use."""
    if hectares < SMALL_HA:
        return SIZE_CLASSES[0]
    return SIZE_CLASSES[1] if hectares < MIDDLE_HA else SIZE_CLASSES[2]


def _table(rows: list[tuple[Any, ...]], names: tuple[str, ...], key: Any) -> list[Row]:
    groups: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row[4])
    ordered = sorted(groups.items(), key=lambda group: tuple(str(part or "") for part in group[0]))
    return [
        {
            **dict(zip(names, values, strict=True)),
            "objects": len(areas),
            "hectares": _hectares(areas),
        }
        for values, areas in ordered
    ]


def _by_municipality(rows: list[tuple[Any, ...]]) -> list[Row]:
    table = _table(rows, ("municipality",), lambda row: (row[3],))
    counts = Counter((row[3], row[0]) for row in rows)
    for entry in table:
        for verdict in VERDICTS:
            entry[verdict] = counts[entry["municipality"], verdict]
    return table


def _optional(frame: Any, name: str) -> list[Any]:
    return list(frame[name]) if name in frame.columns else [None] * len(frame)


def _hectares(areas: Any) -> float:
    return round(math.fsum(areas), 4)
