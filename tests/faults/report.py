"""Writes docs/faults.md from the results of the fault tests: junit files of `make test-faults`.

A test says which fault it makes and what it looks up after it by `@pytest.mark.fault`; the tests of
one fault make one row.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN = "<!-- results: written by `make test-faults` -->"


@dataclass
class Row:
    """The tests of one fault."""

    evidence: str
    results: Counter[str] = field(default_factory=Counter)
    dates: set[str] = field(default_factory=set)


def main(paths: Iterable[str]) -> None:
    """Replace the results in the document by those in junit files."""
    rows: dict[str, Row] = {}
    for path in paths:
        for fault, evidence, result, date in results_in(Path(path)):
            row = rows.setdefault(fault, Row(evidence))
            row.results[result] += 1
            row.dates.add(date)
    text = DOCUMENT.read_text(encoding="utf-8")
    head, mark, _ = text.partition(BEGIN)
    if not mark:
        raise SystemExit(f"{DOCUMENT}: no line {BEGIN!r} behind which the results are written")
    DOCUMENT.write_text(head + BEGIN + "\n\n" + table(rows), encoding="utf-8")


def results_in(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield fault, evidence, result and date of each test of a junit file."""
    for suite in ElementTree.parse(path).iter("testsuite"):
        date = suite.attrib["timestamp"][:10]
        for case in suite.iter("testcase"):
            said = {item.attrib["name"]: item.attrib["value"] for item in case.iter("property")}
            name = case.attrib["name"].partition("[")[0].removeprefix("test_").replace("_", " ")
            result = next(
                (word for word in ("failure", "error", "skipped") if case.find(word) is not None),
                "passed",
            )
            yield said.get("fault", name), said.get("evidence", "as the test says"), result, date


def table(rows: dict[str, Row]) -> str:
    """Return the rows as Markdown."""
    lines = ["| fault | evidence asserted | runs | result | date |", "|---|---|---|---|---|"]
    for fault, row in rows.items():
        result = ", ".join(
            word if count == row.results.total() else f"{count} {word}"
            for word, count in row.results.items()
        )
        dates = " to ".join(sorted({min(row.dates), max(row.dates)}))
        lines.append(f"| {fault} | {row.evidence} | {row.results.total()} | {result} | {dates} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
