"""Fetching files over HTTP, politely and to the last byte.

A transfer that breaks is continued where it stopped (RFC 9110, section 14: ranges with
``If-Range``), also by a later run; a busy server is given the time that it asks for; what arrives
is checked before it counts.
"""

from __future__ import annotations

import email.utils
import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from processes.ingest.cache import Cache, Stored
from processes.ingest.checksum import matches
from processes.ingest.sources import Source
from processes.ingest.transfer import DeniedError, NotThereError
from processes.ingest.whole_raster import DamagedFileError
from processes.stage import InputDataError, TemporaryError

USER_AGENT = "cdi-nrw/0.1 (monitoring of meadow orchards; batch download, few connections)"
# A server may ask for patience; beyond this the run ends with "try again" instead of sleeping.
_LONGEST_WAIT_S = 300.0
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


class _BrokenError(Exception):
    """A try failed in a way that another one may mend; waits at least `wait` seconds."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Downloader:
    """Fetches files of one source; safe for several threads.

    Args:
        source: Its time-outs, attempts and secret are used.
        cache: Where files go.
    """

    def __init__(self, source: Source, cache: Cache | None) -> None:
        self._source = source
        self._cache = cache
        self._stop = threading.Event()
        self._client = httpx.Client(
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(source.timeout_s),
            limits=httpx.Limits(max_connections=max(1, source.max_parallel)),
            follow_redirects=True,
            max_redirects=5,
        )

    def abort(self) -> None:
        """Make running transfers end soon; what they have so far is kept."""
        self._stop.set()

    def close(self) -> None:
        """End waiting and close all connections."""
        self._stop.set()
        self._client.close()

    def json(self, url: str) -> Any:
        """Fetch and parse a JSON document.

        Raises:
            NotThereError, DeniedError, TemporaryError: See `fetch`.
            InputDataError: The answer is no JSON.
        """

        def attempt() -> Any:
            response = self._client.get(url, headers=self._authorisation(url, login=False))
            self._check(response)
            return response

        response = self._again(url, attempt)
        try:
            return response.json()
        except ValueError as error:
            raise InputDataError(
                f"source {self._source.name} is not usable", f"{url} is no JSON document: {error}"
            ) from error

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
        """Return the file at `url`, out of the cache or over the network.

        Args:
            url: Address.
            check: Raises DamagedFileError for a file that is not whole.
            size: Bytes that its index promises.
            checksum: (algorithm, hex digest) that its index promises.
            login: The address wants the source's token.
            reuse: Take it out of the cache if it is there; False for files that change.

        Raises:
            DamagedFileError: It arrived damaged twice.
            NotThereError: 404 or 410.
            DeniedError: 401 or 403.
            TemporaryError: The server did not deliver after all attempts.
        """
        cache = self._own_cache()
        expected: dict[str, Any] = {} if size is None else {"size": size}
        if checksum is not None:
            expected["checksum"] = list(checksum)
        with cache.reserved(url):
            known = cache.find(url, **expected) if reuse else None
            if known is not None:
                return known
            partial = cache.partial(url)
            for last in (False, True):
                self._again(url, lambda: self._transfer(url, partial, login=login))
                try:
                    return self._accept(url, partial, check, expected)
                except DamagedFileError:
                    _forget(partial)
                    if last:
                        raise
        raise AssertionError("unreachable")

    def _accept(
        self, url: str, partial: Path, check: Callable[[Path], object], expected: dict[str, Any]
    ) -> Stored:
        size = partial.stat().st_size
        if "size" in expected and size != expected["size"]:
            raise DamagedFileError(f"has {size} bytes, its index says {expected['size']}")
        sha256, wrong = matches(partial, expected.get("checksum"))
        if wrong:
            raise DamagedFileError(wrong)
        check(partial)
        details = {key: value for key, value in expected.items() if key == "checksum"}
        stored = self._own_cache().keep(url, partial, sha256, **details)
        _forget(partial)
        return stored

    def _transfer(self, url: str, partial: Path, *, login: bool) -> None:
        """Bring `partial` to its full length, continuing what is there if it is still the same."""
        headers = self._authorisation(url, login=login)
        have, validator = _so_far(partial)
        if have:
            headers.update({"Range": f"bytes={have}-", "If-Range": validator})
        with self._client.stream("GET", url, headers=headers) as response:
            if response.status_code == 416:
                _forget(partial)
                raise _BrokenError("the part that was there does not fit")
            self._check(response)
            resumed = response.status_code == 206
            if resumed and _range_start(response) != have:
                _forget(partial)
                raise _BrokenError("the server sent another range than the one asked for")
            if not resumed:
                have = 0
                _note_validator(partial, response)
            length = response.headers.get("Content-Length")
            try:
                with partial.open("ab" if resumed else "wb") as sink:
                    for chunk in response.iter_raw():
                        sink.write(chunk)
                        if self._stop.is_set():
                            raise _BrokenError("the run ends")
            except OSError:
                _forget(partial)  # a full disk: leave nothing behind
                raise
        got = partial.stat().st_size - have
        if length is not None and got != int(length):
            raise _BrokenError(f"the connection ended after {got} of {length} bytes")

    def _again(self, url: str, attempt: Callable[[], Any]) -> Any:
        """Try until it works, the server says no, or the attempts are used up."""
        host = urlsplit(url).netloc
        why = ""
        for number in range(max(1, self._source.attempts)):
            try:
                return attempt()
            except _BrokenError as error:
                why, wait = str(error), error.wait
            except httpx.TransportError as error:
                why, wait = f"{type(error).__name__}: {error}", None
            pause = max(wait or 0.0, self._source.backoff_s * 2**number)
            if pause > _LONGEST_WAIT_S:
                break
            if number + 1 < self._source.attempts and self._stop.wait(pause):
                break
        raise TemporaryError(
            f"{host} does not answer",
            f"{url}: {why} (source {self._source.name}, {self._source.attempts} attempts). What "
            "was fetched so far is kept; run it again later.",
        )

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in (404, 410):
            raise NotThereError(f"the server answers {status}")
        if status in (401, 403):
            raise DeniedError(f"the server answers {status}")
        if status in _BUSY:
            raise _BrokenError(f"the server answers {status}", _retry_after(response))
        if status not in (200, 206):
            raise InputDataError(
                f"source {self._source.name} is not usable",
                f"{response.url} answers {status}; check its address in the source file",
            )

    def _authorisation(self, url: str, *, login: bool) -> dict[str, str]:
        """Return the token header, for the source's own host or where a login is asked for."""
        source = self._source
        own = source.url is not None and urlsplit(source.url).netloc == urlsplit(url).netloc
        if source.secret is None or not (own or login):
            return {}
        folder = os.environ.get("CDI_SECRETS_DIR")
        path = Path(folder or "") / source.secret
        if not folder or not path.is_file():
            raise InputDataError(
                f"secret of source {source.name} is missing",
                f"expected the file {source.secret} in the folder that CDI_SECRETS_DIR names",
            )
        return {"Authorization": f"Bearer {path.read_text(encoding='utf-8').strip()}"}

    def _own_cache(self) -> Cache:
        if self._cache is None:
            raise ValueError("this downloader was made without a cache")
        return self._cache


def _so_far(partial: Path) -> tuple[int, str]:
    """Return how many bytes are there and the validator that they belong to."""
    try:
        validator = json.loads(_validator_file(partial).read_text(encoding="utf-8"))["validator"]
        return partial.stat().st_size, str(validator)
    except (OSError, ValueError, KeyError, TypeError):
        _forget(partial)
        return 0, ""


def _note_validator(partial: Path, response: httpx.Response) -> None:
    """Keep the strong validator of what begins to arrive; without one it cannot be continued."""
    etag = response.headers.get("ETag", "")
    validator = (
        etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
    )
    path = _validator_file(partial)
    if validator:
        path.write_text(json.dumps({"validator": validator}), encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def _validator_file(partial: Path) -> Path:
    return partial.with_suffix(".part-of")


def _forget(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    _validator_file(partial).unlink(missing_ok=True)


def _range_start(response: httpx.Response) -> int:
    text = response.headers.get("Content-Range", "")
    start = text.removeprefix("bytes ").split("-")[0]
    return int(start) if start.isdigit() else -1


def _retry_after(response: httpx.Response) -> float | None:
    """Read ``Retry-After``: seconds or a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())
