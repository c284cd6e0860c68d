"""The only module that knows how pygeoapi 0.21 and 0.24 differ, and what is replaced in both.

pygeoapi moves a bbox by two corners only, builds a new transformer for every request, and turns
documents into text that we would have to parse again (0.24 also writes ``&lt;`` for ``<`` into it);
`install` puts our own functions in their place.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import pygeoapi
from pygeoapi import api as core
from pygeoapi import linked_data, util
from pygeoapi.api import APIRequest, itemtypes

from ogcapi import crs, negotiation

try:
    from pygeoapi.crs import CrsTransformSpec
except ImportError:  # before 0.22
    from pygeoapi.util import CrsTransformSpec

VERSION = tuple(int(part) for part in pygeoapi.__version__.split(".")[:2])

__all__ = ["VERSION", "CrsTransformSpec", "JsonRequest", "install", "plain"]


class JsonRequest(APIRequest):  # type: ignore[misc]
    """A request that pygeoapi answers with JSON, whatever the client prefers: pages are ours.

    Titles are in the language of the page that is made of it.
    """

    def _get_format(self, *_: Any, **__: Any) -> str:
        return "json"

    def _get_locale(self, headers: Any, supported_locales: Any) -> Any:
        return super()._get_locale({"accept-language": negotiation.language()}, supported_locales)


def install() -> None:
    """Replace pygeoapi's slow or inexact functions; harmless when called again."""
    for name in ("transform_bbox", "create_crs_transform_spec"):
        if not hasattr(itemtypes, name):
            raise RuntimeError(f"pygeoapi {pygeoapi.__version__} has no itemtypes.{name}")
    itemtypes.transform_bbox = crs.transform_bbox
    itemtypes.create_crs_transform_spec = _transform_spec
    for module in (core, linked_data, util, *core.all_apis().values()):
        if hasattr(module, "to_json"):  # bound by name when the module was imported
            module.to_json = _unchanged


def plain(document: Any) -> Any:
    """Return a document of pygeoapi with dates and the like as text."""
    return json.loads(json.dumps(document, default=util.json_serial))


def _unchanged(document: Any, pretty: bool = False) -> Any:
    """Stand where pygeoapi makes text of its documents: the views do that, once."""
    return document


def _transform_spec(provider: Mapping[str, Any], wanted: str | None = None) -> Any:
    """Say how features are transformed; None when they are asked for as they are stored.

    Raises:
        ValueError: The collection is not offered in the wanted CRS.
    """
    storage = provider.get("storage_crs", crs.CRS84)
    offered = tuple(provider.get("crs", ())) or (crs.CRS84,)
    return _kept_spec(storage, offered, wanted or crs.CRS84)


@functools.lru_cache(maxsize=256)
def _kept_spec(storage: str, offered: tuple[str, ...], wanted: str) -> Any:
    if wanted not in offered and wanted != crs.CRS84:
        raise ValueError(
            f"crs {wanted!r} is not offered for this collection; offered: {', '.join(offered)}"
        )
    if crs.same(storage, wanted):
        return None
    return CrsTransformSpec(
        source_crs_uri=storage,
        source_crs_wkt=crs.crs_of(storage).to_wkt(),
        target_crs_uri=wanted,
        target_crs_wkt=crs.crs_of(wanted).to_wkt(),
    )
