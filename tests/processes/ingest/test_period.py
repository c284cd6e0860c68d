"""The period is an ISO 8601 interval and nothing else."""

import pytest

from processes.ingest.period import Period, moment_of
from processes.stage import InputDataError


def test_a_day_at_the_end_belongs_to_the_period():
    period = Period.parse("2023-01-01/2023-12-31")
    assert period.contains(moment_of("2023-12-31T23:59:59Z"))
    assert not period.contains(moment_of("2024-01-01T00:00:00Z"))
    assert str(period) == "2023-01-01T00:00:00Z/2023-12-31T23:59:59Z"
    assert period.last_year == 2023


def test_times_with_a_zone_are_moved_to_utc():
    assert str(Period.parse("2023-06-01T02:00:00+02:00/2023-06-01T12:00:00Z")).startswith(
        "2023-06-01T00:00:00Z"
    )


@pytest.mark.parametrize(
    "text",
    [
        "2023",
        "2023-01-01",
        "2023-12-31/2023-01-01",
        "a/b",
        "2023-02-30/2023-03-01",
        "../x",
        "0001-01-01T00:00:00+14:00/2023-01-01",
    ],
)
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(InputDataError, match="2023-01-01/2023-12-31"):
        Period.parse(text)


def test_the_calendar_s_last_day_may_end_a_period():
    assert Period.parse("2023-01-01/9999-12-31").last_year == 9999
