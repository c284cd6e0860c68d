"""Rasters of a release for pygeoapi: the description that its collection page and schema need.

The data themselves are served by our own view (``ogcapi.coverage``), because pygeoapi hands no
scale and no CRS to a provider; `query` answers plain pygeoapi the same windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pygeoapi.provider.base import (
    BaseProvider,
    ProviderConnectionError,
    ProviderInvalidQueryError,
    ProviderNoDataError,
    ProviderRequestEntityTooLargeError,
)

from ogcapi import crs
from ogcapi.providers.mosaic import Mosaic, open_mosaic

DEFAULT_LIMIT = 4_000_000  # cells of all bands that plain pygeoapi may ask for


class ReleaseCoverage(BaseProvider):  # type: ignore[misc]
    """One raster collection of a release.

    Of the provider definition it reads ``data`` (path of the manifest) and ``options.collection``.
    """

    def __init__(self, provider_def: Mapping[str, Any]) -> None:
        super().__init__(dict(provider_def))
        collection = str((provider_def.get("options") or {}).get("collection"))
        try:
            self.mosaic: Mosaic = open_mosaic(Path(self.data), collection)
        except (OSError, KeyError, ValueError) as error:
            message = f"no raster collection {collection!r} in {Path(self.data).parent.name}"
            raise ProviderConnectionError(user_msg=message) from error
        self.crs = crs.uri_of(self.mosaic.crs)
        self.axes = list(crs.axis_names(self.crs))
        self.num_bands = len(self.mosaic.bands)
        self._fields = fields_of(self.mosaic)
        self._coverage_properties = self._properties()

    def get_fields(self) -> dict[str, dict[str, Any]]:
        """Return the bands with type, unit and nodata value."""
        return self._fields

    def query(
        self,
        properties: Sequence[str] = (),
        subsets: Mapping[str, Sequence[float]] | None = None,
        bbox: Sequence[float] = (),
        bbox_crs: int | str | None = None,
        datetime_: str | None = None,
        format_: str = "json",
        **_: Any,
    ) -> Any:
        """Return a window without resampling, as GeoTIFF bytes or as CoverageJSON.

        Raises:
            ProviderInvalidQueryError: An axis, band, box or format is not known.
            ProviderNoDataError: The window lies outside.
            ProviderRequestEntityTooLargeError: The window is too large.
        """
        # Imported here: the view's modules describe coverages through this one.
        from ogcapi import coverage_formats, coverage_request, coverage_window

        source = crs.CRS84 if bbox_crs in (None, 4326) else crs.uri_of(f"EPSG:{bbox_crs}")
        given: dict[str, str] = {}
        if bbox:
            given["bbox"] = ",".join(str(value) for value in bbox)
            given["bbox-crs"] = source
        if subsets:
            given["subset"] = ",".join(
                f"{axis}({':'.join(str(value) for value in span)})"
                for axis, span in subsets.items()
            )
        if properties:
            given["properties"] = ",".join(properties)
        if datetime_:
            given["datetime"] = datetime_
        try:
            wanted = coverage_request.parse(given, self.mosaic)
            window = coverage_window.read(self.mosaic, wanted, DEFAULT_LIMIT)
            if format_.lower() in ("gtiff", "geotiff", "tif"):
                return coverage_formats.geotiff(window)
            return coverage_formats.coverage_json(window)
        except coverage_request.CoverageError as error:
            raise _as_provider_error(error) from error

    def _properties(self) -> dict[str, Any]:
        mosaic = self.mosaic
        return {
            "bbox": list(mosaic.bounds),
            "bbox_crs": self.crs,
            "crs_type": "ProjectedCRS",
            "width": mosaic.width,
            "height": mosaic.height,
            "resx": mosaic.cell_x,
            "resy": mosaic.cell_y,
            "x_axis_label": self.axes[0],
            "y_axis_label": self.axes[1],
            "bbox_units": "m",
            "bands": self.num_bands,
            "tags": {},
        }


def fields_of(mosaic: Mosaic) -> dict[str, dict[str, Any]]:
    """Describe the bands of a mosaic as JSON Schema properties."""
    described = {}
    for number, band in enumerate(mosaic.bands, 1):
        field: dict[str, Any] = {
            "title": band.name,
            "type": "number",
            "x-ogc-unit": band.unit,
            "x-ogc-propertySeq": number,
        }
        if mosaic.nodata is not None:
            field["x-ogc-nilValues"] = [str(mosaic.nodata)]
        described[band.name] = field
    return described


def _as_provider_error(error: Any) -> Exception:
    if error.status == 204:
        return ProviderNoDataError(user_msg=error.detail)  # type: ignore[no-any-return]
    if error.status == 413:
        return ProviderRequestEntityTooLargeError(error.detail)  # type: ignore[no-any-return]
    return ProviderInvalidQueryError(user_msg=error.detail)  # type: ignore[no-any-return]
