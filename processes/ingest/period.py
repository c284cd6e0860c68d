"""The time span of a run, read once and strictly, so that no stage guesses what a text meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from processes.stage import InputDataError


@dataclass(frozen=True)
class Period:
    """A closed interval in UTC."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read an ISO 8601 interval of two dates or two times; a date at the end includes its day.

        Raises:
            InputDataError: `text` is something else, or ends before it starts.
        """
        parts = text.split("/")
        if len(parts) != 2:
            raise _wrong(text, "it needs a start and an end")
        try:
            start, end = _moment(parts[0], last=False), _moment(parts[1], last=True)
        except (ValueError, OverflowError) as error:
            raise _wrong(text, str(error)) from error
        if end < start:
            raise _wrong(text, "it ends before it starts")
        return cls(start, end)

    @property
    def last_year(self) -> int:
        """Year of the last day."""
        return self.end.year

    def contains(self, moment: datetime) -> bool:
        """Tell whether `moment` lies in the interval; both ends belong to it."""
        return self.start <= moment <= self.end

    def __str__(self) -> str:
        return "/".join(moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (self.start, self.end))


def moment_of(text: str) -> datetime:
    """Read an ISO 8601 date-time as UTC; one without a zone is UTC already."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _moment(text: str, *, last: bool) -> datetime:
    if len(text) == 10:
        day = datetime.combine(date.fromisoformat(text), time(), UTC)
        return day + timedelta(hours=23, minutes=59, seconds=59) if last else day
    return moment_of(text)


def _wrong(text: str, why: str) -> InputDataError:
    return InputDataError(
        "period not understood",
        f"`period` is {text!r}: {why}. Expected an ISO 8601 interval such as 2023-01-01/2023-12-31",
    )
