"""The order of things in the stage `ingest`: understand the request, choose, fetch, describe."""

from __future__ import annotations

import argparse
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from processes.grid import Bounds
from processes.ingest import area as areas
from processes.ingest import flight_dates, folder, opengeodata
from processes.ingest.batches import tile_batches
from processes.ingest.cache import Cache
from processes.ingest.fetch import Fetcher
from processes.ingest.findings import Findings
from processes.ingest.inventory import at_home, check_place, read_inventory
from processes.ingest.items import Entry, scene_entry, tile_entry
from processes.ingest.outputs import write_outputs
from processes.ingest.period import Period
from processes.ingest.reference_systems import LONLAT, check_scale, metric_crs, moved, parse_crs
from processes.ingest.scene_choice import choose_scenes
from processes.ingest.sources import DEFAULT_FILE, Source, choose, load_sources
from processes.ingest.surfaces import choose_images, choose_surfaces
from processes.ingest.tiles import Tile, unique_names
from processes.ingest.transfer import Transfer
from processes.stage import InputDataError, Progress

# Orthophotos are needed where an object lies and as far around it as its crowns may reach.
DOP_MARGIN_M = 20.0


def ingest(args: argparse.Namespace, progress: Progress) -> None:
    """Run the stage on parsed arguments; outputs go to the current folder.

    Raises:
        InputDataError: Area, period, inventory or sources are at fault, or nothing is there.
        TemporaryError: A server does not answer.
    """
    _Ingestion(args, progress).run()


class _Ingestion:
    def __init__(self, args: argparse.Namespace, progress: Progress) -> None:
        self._args = args
        self._findings = Findings()
        self._crs = metric_crs(args.crs)
        self._period = Period.parse(args.period)
        _check_numbers(args)
        config = args.source_config or Path(os.environ.get("CDI_SOURCES") or DEFAULT_FILE)
        self._known = load_sources(config)
        self._sources = choose(self._known, args.sources)
        shared = os.environ.get("CDI_CACHE")
        self._cache = Cache(Path(shared or ".cache"), verify=args.verify_cache)
        self._downloaders: dict[str, Transfer] = {}
        self._fetcher = Fetcher(
            *(self._cache, self._findings, progress, self._downloader),
            read_in_place=shared is not None,
        )

    def run(self) -> None:
        try:
            area = self._area()
            check_scale(area, self._crs)
            inventory = read_inventory(self._args.inventory, self._crs, self._findings)
            objects = at_home(inventory, area)
            if not len(objects):
                self._findings.note("inventory: no object has its home in the area")
            surfaces, core = self._surfaces(area, objects)
            check_place(inventory, area)  # now that the area is known to lie where data are
            images = self._images(objects, surfaces)
            scenes = self._scenes([tile.bounds for tile in core])
        finally:
            for downloader in self._downloaders.values():
                downloader.close()
        batches = tile_batches(core, self._args.batch_size, self._args.buffer, self._args.crs)
        areas.write_area(Path("area.geojson"), area, self._crs, self._args.crs)
        shared = bool(os.environ.get("CDI_CACHE"))
        write_outputs(
            [*surfaces, *images, *scenes], batches, objects, self._findings, shared=shared
        )

    def _area(self) -> BaseGeometry:
        args = self._args
        given = [name for name in ("area", "bbox", "district") if getattr(args, name) is not None]
        if len(given) != 1:
            raise InputDataError(
                "area not clear",
                "exactly one of `area`, `bbox` and `district` is needed; given: "
                f"{', '.join(given) or 'none'}",
            )
        if args.area is not None:
            return areas.area_from_geojson(args.area, self._crs)
        if args.bbox is not None:
            try:
                values = [float(part) for part in args.bbox.split(",")]
            except ValueError as error:
                raise InputDataError("bbox not understood", f"{args.bbox!r}: {error}") from error
            return areas.area_from_bbox(values, args.bbox_crs, self._crs)
        return self._district(args.district)

    def _district(self, code: str) -> BaseGeometry:
        source = next(
            (s for s in [*self._sources, *self._known.values()] if s.product == "districts"), None
        )
        if source is None:
            raise InputDataError(
                "no districts configured", "the source file has no source of product districts"
            )
        if source.type == "folder":
            path = folder.single_file(source)
        else:
            downloader = self._downloader(source)
            url, size = opengeodata.newest_file(source, downloader)
            path = downloader.fetch(url, lambda path: None, size=size, reuse=size is not None).path
        if not zipfile.is_zipfile(path):
            return areas.area_from_district(path, code, source.keys, self._crs)
        with tempfile.TemporaryDirectory(dir=".") as unpacked:
            member = _unpack(path, Path(unpacked), source)
            return areas.area_from_district(member, code, source.keys, self._crs)

    def _surfaces(self, area: BaseGeometry, objects: Any) -> tuple[list[Entry], list[Tile]]:
        choice = choose_surfaces(
            self._of("ndom"),
            self._list_tiles,
            [area, *objects.geometry],
            self._crs,
            self._period.last_year,
            self._args.buffer,
            self._findings,
        )
        names: set[str] = set()
        core = unique_names(self._dated(choice.core), names)
        around = unique_names(self._dated(choice.around), names)
        self._fetcher.expect(len(core) + len(around))
        fetched = self._fetcher.tiles([*core, *around])
        wanted = {tile.name for tile in core}
        own = [tile for tile, _ in fetched if tile.name in wanted]
        if not own:
            raise InputDataError(
                "no nDOM tile could be used",
                "; ".join(
                    f"{entry['name']}: {entry['reason']} {entry.get('detail', '')}".strip()
                    for entry in self._findings.missing[:5]
                ),
            )
        return [tile_entry(tile, stored, self._crs) for tile, stored in fetched], own

    def _images(self, objects: Any, surfaces: Sequence[Entry]) -> list[Entry]:
        chosen = choose_images(
            self._of("dop"),
            self._list_tiles,
            list(objects.geometry),
            DOP_MARGIN_M,
            self._crs,
            self._period.last_year,
            self._findings,
        )
        taken = {str(entry.item["id"]) for entry in surfaces}
        tiles = unique_names(self._dated(chosen), taken)
        self._fetcher.expect(len(tiles))
        return [tile_entry(t, stored, self._crs) for t, stored in self._fetcher.tiles(tiles)]

    def _scenes(self, core: Sequence[Bounds]) -> list[Entry]:
        sources = self._of("sentinel-2-l2a")
        ground = shapely.union_all([shapely.box(*bounds.as_tuple()) for bounds in core])
        lonlat = moved(shapely.segmentize(ground, 10_000), self._crs, parse_crs(LONLAT))
        picked = choose_scenes(sources, lonlat, self._period, self._args.max_cloud, self._findings)
        entries = []
        for source, scenes in picked:
            self._fetcher.expect(sum(len(scene.assets) for scene in scenes))
            for got in self._fetcher.scenes(source, scenes):
                entries.append(scene_entry(got.scene, source, got.files, got.raster, self._crs))
        return entries

    def _of(self, product: str) -> list[Source]:
        return [source for source in self._sources if source.product == product]

    def _list_tiles(self, source: Source) -> list[Tile]:
        if source.type == "folder":
            return folder.list_tiles(source, self._findings)
        if source.type == "opengeodata":
            return opengeodata.list_tiles(source, self._downloader(source))
        raise InputDataError(
            f"source {source.name} is not usable",
            f"type {source.type} serves no {source.product} tiles; use folder or opengeodata",
        )

    def _dated(self, tiles: Sequence[Tile]) -> list[Tile]:
        result: list[Tile] = []
        for source in {tile.source.name: tile.source for tile in tiles}.values():
            own = [tile for tile in tiles if tile.source is source]
            downloader = None if source.type == "folder" else self._downloader(source)
            result.extend(flight_dates.dated(source, own, downloader, self._findings))
        return sorted(result, key=lambda tile: (tile.bounds, tile.name))

    def _downloader(self, source: Source) -> Transfer:
        if source.name not in self._downloaders:
            from processes.ingest.download import Downloader

            self._downloaders[source.name] = Downloader(source, self._cache)
        return self._downloaders[source.name]


def _check_numbers(args: argparse.Namespace) -> None:
    if not 0 <= args.buffer <= 1000:
        raise InputDataError("buffer not valid", f"expected 0 to 1000 m, got {args.buffer}")
    if not 0 <= args.max_cloud <= 100:
        raise InputDataError("max_cloud not valid", f"expected 0 to 100 %, got {args.max_cloud}")


def _unpack(path: Path, target: Path, source: Source) -> Path:
    """Unpack the files that belong to the source's `member` (a shapefile has several)."""
    wanted = Path(source.member or "").stem
    found: Path | None = None
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if wanted and Path(name).stem == wanted and not name.endswith("/"):
                    place = target / Path(name).name
                    place.write_bytes(archive.read(name))
                    found = place if place.name == source.member else found
    except zipfile.BadZipFile as error:
        raise InputDataError("districts cannot be read", f"{source.name}: {error}") from error
    if found is None:
        raise InputDataError(
            "districts cannot be read", f"{source.name}: no {source.member} in its ZIP file"
        )
    return found
