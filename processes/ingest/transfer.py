"""How a file can be refused, and what gives files; apart from the slow-loading HTTP client.

A run on folders never needs the client.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from processes.ingest.cache import Stored


class NotThereError(Exception):
    """The server says that the file does not exist (404, 410)."""


class DeniedError(Exception):
    """The server does not let us have the file (401, 403)."""


class Transfer(Protocol):
    """Fetches documents and files of one source; `download.Downloader` does."""

    def json(self, url: str) -> Any:
        """Fetch and parse a JSON document."""
        ...

    def fetch(
        self,
        url: str,
        check: Callable[[Path], object],
        *,
        size: int | None = None,
        checksum: tuple[str, str] | None = None,
        login: bool = False,
        reuse: bool = True,
    ) -> Stored:
        """Return the file at `url`, out of the cache or over the network."""
        ...

    def abort(self) -> None:
        """Make running transfers end soon; what they have so far is kept."""
        ...

    def close(self) -> None:
        """End waiting and close all connections."""
        ...
