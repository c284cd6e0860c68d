"""Numbers that a reader can check by hand or against a published figure."""

import pytest

from processes.publish.summary import SIZE_CLASSES, size_class, summarise_objects, wilson
from tests.processes.publish.conftest import WEST, objects


def test_the_interval_of_the_published_share_is_the_published_one():
    low, high = wilson(410, 535)
    assert (round(100 * low, 1), round(100 * high, 1)) == (72.9, 80.0)


@pytest.mark.parametrize(("count", "total"), [(0, 10), (10, 10), (0, 0), (1, 1)])
def test_an_interval_stays_between_nothing_and_all(count, total):
    low, high = wilson(count, total)
    assert 0 <= low <= high <= 1


@pytest.mark.parametrize(
    ("hectares", "expected"), [(0.1499, 0), (0.15, 1), (0.2499, 1), (0.25, 2), (3.0, 2)]
)
def test_size_classes_begin_at_their_lower_bound(hectares, expected):
    assert size_class(hectares) == SIZE_CLASSES[expected]


def test_objects_are_counted_by_verdict_reason_size_and_municipality():
    frame = objects(WEST, ("confirmed", "confirmed", "rejected", "uncertain"))
    frame["area_m2"] = [2500.0, 1000.0, 2000.0, 4000.0]
    frame["municipality"] = ["Wesel", "Xanten", None, "Wesel"]
    frame["reason_main"] = ["trees-enough", "trees-enough", "trees-none", "too-small"]
    summary = summarise_objects(frame)
    assert summary["total"] == 4
    assert summary["hectares"] == 0.95
    assert summary["by_verdict"] == {"confirmed": 2, "rejected": 1, "uncertain": 1}
    assert summary["by_reason"] == {"too-small": 1, "trees-enough": 2, "trees-none": 1}
    assert summary["by_size_class"]["<0.15 ha"] == {
        "objects": 1, "hectares": 0.1, "confirmed": 1, "rejected": 0, "uncertain": 0,
    }  # fmt: skip
    assert summary["by_verdict_and_reason"][1] == {
        "verdict": "rejected", "rejected_as": "lost", "reason": "trees-none",
        "objects": 1, "hectares": 0.2,
    }  # fmt: skip
    wesel = next(row for row in summary["by_municipality"] if row["municipality"] == "Wesel")
    assert (wesel["objects"], wesel["confirmed"], wesel["uncertain"]) == (2, 1, 1)
    assert wesel["hectares"] == 0.65
