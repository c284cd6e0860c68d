"""Sources that are STAC APIs (Earth Search, Copernicus Data Space and the like)."""

from __future__ import annotations

from typing import Any

import pystac
import pystac_client
import requests
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from urllib3.util.retry import Retry

from processes.ingest.download import USER_AGENT
from processes.ingest.findings import Findings
from processes.ingest.period import Period
from processes.ingest.scenes import Scene, scene_from_item
from processes.ingest.sources import Source
from processes.stage import InputDataError, TemporaryError

_PAGE = 100
_NO_API = (ClientTypeError, pystac.STACError, pystac.STACTypeError)


def list_scenes(
    source: Source,
    bbox: tuple[float, float, float, float],
    period: Period,
    max_cloud: float,
    findings: Findings,
) -> list[Scene]:
    """Search for scenes.

    Args:
        source: The API and its collection.
        bbox: West, south, east, north in degrees.
        period: Time span.
        max_cloud: Highest share of clouds in per cent; asked for where the API can filter.
        findings: Where items that are no scenes are named.

    Raises:
        InputDataError: The API refuses the search.
        TemporaryError: It does not answer.
    """
    scenes = []
    for item in _search(source, bbox, period, max_cloud):
        try:
            scenes.append(scene_from_item(item))
        except ValueError as error:
            name = str(item.get("id", "item without id"))
            findings.lacks(source.product, source.name, name, "incomplete", str(error))
    return scenes


def _search(
    source: Source,
    bbox: tuple[float, float, float, float],
    period: Period,
    max_cloud: float,
) -> list[dict[str, Any]]:
    session = StacApiIO(
        headers={"User-Agent": USER_AGENT},
        timeout=source.timeout_s,
        max_retries=Retry(
            total=source.attempts - 1,
            backoff_factor=source.backoff_s,
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=None,
            respect_retry_after_header=True,
        ),
    )
    try:
        client = pystac_client.Client.open(str(source.url), stac_io=session)
        query: dict[str, Any] = {}
        if client.conforms_to("QUERY") and max_cloud < 100:
            query["query"] = {"eo:cloud_cover": {"lte": max_cloud}}
        search = client.search(
            collections=[source.collection],
            bbox=bbox,
            datetime=str(period),
            limit=_PAGE,
            **query,
        )
        return list(search.items_as_dicts())
    except APIError as error:
        raise _api_error(source, error) from error
    except requests.RequestException as error:
        raise TemporaryError(
            f"source {source.name} does not answer", f"{source.url}: {error}; run it again later"
        ) from error
    except (*_NO_API, LookupError, TypeError, ValueError) as error:
        raise InputDataError(
            f"source {source.name} is not usable", f"{source.url} is no STAC API: {error}"
        ) from error


def _api_error(source: Source, error: APIError) -> Exception:
    status = getattr(error, "status_code", None)
    if status is None or status == 429 or status >= 500:
        return TemporaryError(
            f"source {source.name} does not answer",
            f"{source.url} answers {status or error} after {source.attempts} attempts; "
            "run it again later",
        )
    return InputDataError(
        f"source {source.name} is not usable", f"{source.url} answers {status}: {str(error)[:300]}"
    )
