"""Bringing the chosen files to this machine: in parallel, checked, each failure by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from processes.ingest.cache import Cache, Stored
from processes.ingest.findings import Findings
from processes.ingest.folder import file_in
from processes.ingest.reference_systems import parse_crs, same_crs
from processes.ingest.scenes import BANDS, REQUIRED, Scene, SceneAsset
from processes.ingest.sources import Source
from processes.ingest.tiles import Tile
from processes.ingest.transfer import DeniedError, NotThereError, Transfer
from processes.ingest.whole_raster import DamagedFileError, RasterFacts, inspect_raster, read_facts
from processes.stage import Progress

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class FetchedScene:
    """A scene, where it comes from, its local bands and what the header of its rasters says."""

    scene: Scene
    source: Source
    files: dict[str, tuple[Stored, SceneAsset]]
    raster: RasterFacts


class Fetcher:
    """Fetches files of all kinds of sources into the cache.

    Args:
        cache: Where files go.
        findings: Where files that could not be had are named.
        progress: Told about every file.
        downloader: Gives the one downloader of a source.
        read_in_place: Whether files of sources with ``copy: false`` may stay where they are.
    """

    def __init__(
        self,
        cache: Cache,
        findings: Findings,
        progress: Progress,
        downloader: Callable[[Source], Transfer],
        *,
        read_in_place: bool,
    ) -> None:
        self._cache = cache
        self._findings = findings
        self._progress = progress
        self._in_place = read_in_place
        self._downloader = downloader
        self._done = 0
        self._total = 0

    def expect(self, files: int) -> None:
        """Add `files` to the number that progress counts towards."""
        self._total += files

    def tiles(self, tiles: Sequence[Tile]) -> list[tuple[Tile, Stored]]:
        """Fetch tiles; those that cannot be had, or lie elsewhere than named, are left out.

        Raises:
            TemporaryError: A server does not answer.
        """
        fetched = []
        for source, group in _by_source(tiles):
            for tile, stored in self._each(source, group, self._tile):
                if stored is not None and self._lies_where_named(tile, stored):
                    fetched.append((tile, stored))
        return sorted(fetched, key=lambda pair: (pair[0].bounds, pair[0].name))

    def scenes(self, source: Source, scenes: Sequence[Scene]) -> list[FetchedScene]:
        """Fetch the bands of scenes; a scene without the bands it takes is left out.

        Raises:
            TemporaryError: A server does not answer.
        """
        jobs = [
            (scene, band, asset)
            for scene in scenes
            for band, asset in sorted(scene.assets.items())
            if asset_is_reachable(source, asset)
        ]
        files: dict[str, dict[str, tuple[Stored, SceneAsset]]] = {}
        for (scene, band, asset), stored in self._each(source, jobs, self._band):
            if stored is not None:
                files.setdefault(scene.id, {})[band] = (stored, asset)
        complete = []
        for scene in scenes:
            bands = files.get(scene.id, {})
            lost = [band for band in REQUIRED if band not in bands]
            if lost:
                self._name_loss(source, scene, lost)
                continue
            facts = self._scene_facts(source, scene, bands)
            if facts is not None:
                self._name_unreachable(source, scene)
                complete.append(FetchedScene(scene, source, bands, facts))
        return complete

    def _tile(self, source: Source, tile: Tile) -> Stored:
        if source.type == "folder":
            return self._local(source, Path(tile.location))
        return self._downloader(source).fetch(
            tile.location, inspect_raster, size=tile.size, checksum=tile.checksum
        )

    def _band(self, source: Source, job: tuple[Scene, str, SceneAsset]) -> Stored:
        _, _, asset = job
        if source.type == "folder":
            return self._local(source, file_in(source, asset.href))
        return self._downloader(source).fetch(
            asset.href, inspect_raster, size=asset.size, checksum=asset.checksum, login=asset.login
        )

    def _local(self, source: Source, path: Path) -> Stored:
        if self._in_place and not source.copy:
            return self._cache.in_place(path, inspect_raster)
        return self._cache.copy(path, inspect_raster)

    def _each(
        self, source: Source, jobs: Sequence[_Task], get: Callable[[Source, _Task], Stored]
    ) -> Iterable[tuple[_Task, Stored | None]]:
        if not jobs:
            return
        if source.type != "folder":
            self._downloader(source)  # made here, not by several threads at once
        with ThreadPoolExecutor(max_workers=max(1, source.max_parallel)) as pool:
            waiting = {pool.submit(get, source, job): job for job in jobs}
            try:
                for future in as_completed(waiting):
                    job = waiting[future]
                    yield job, self._outcome(source, job, future.result)
                    self._done += 1
                    self._progress.update(self._done, self._total, "files", source.name)
            except BaseException:
                if source.type != "folder":
                    self._downloader(source).abort()
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _outcome(self, source: Source, job: object, result: Callable[[], Stored]) -> Stored | None:
        name = job.name if isinstance(job, Tile) else _band_name(job)
        try:
            return result()
        except DamagedFileError as error:
            self._findings.lacks(source.product, source.name, name, "corrupt", str(error))
        except (NotThereError, FileNotFoundError) as error:
            self._findings.lacks(source.product, source.name, name, "gone", _told(error))
        except (DeniedError, PermissionError) as error:
            self._findings.lacks(source.product, source.name, name, "no-access", _told(error))
        return None

    def _lies_where_named(self, tile: Tile, stored: Stored) -> bool:
        facts = read_facts(stored.path)
        source = tile.source
        crs = parse_crs(str(source.crs))
        reason, detail = "", ""
        if facts.crs is not None and not same_crs(facts.crs, crs):
            reason, detail = "misplaced", f"is in {facts.crs.name}, its source in {source.crs}"
        elif any(
            abs(a - b) > facts.cell
            for a, b in zip(facts.bounds.as_tuple(), tile.bounds.as_tuple(), strict=True)
        ):
            reason = "misplaced"
            detail = f"covers {facts.bounds.as_tuple()}, its name says {tile.bounds.as_tuple()}"
        if reason:
            self._findings.lacks(source.product, source.name, tile.name, reason, detail)
        return not reason

    def _scene_facts(
        self, source: Source, scene: Scene, bands: dict[str, tuple[Stored, SceneAsset]]
    ) -> RasterFacts | None:
        facts = read_facts(bands["B04"][0].path)
        if facts.crs is None:
            self._findings.lacks(source.product, source.name, scene.id, "no-crs")
            return None
        return facts

    def _name_unreachable(self, source: Source, scene: Scene) -> None:
        for band, asset in sorted(scene.assets.items()):
            if not asset_is_reachable(source, asset):
                name = f"{scene.id} {band}"
                self._findings.lacks(source.product, source.name, name, "s3-keys-needed")

    def _name_loss(self, source: Source, scene: Scene, lost: list[str]) -> None:
        keys = [
            band
            for band in lost
            if band in scene.assets and not asset_is_reachable(source, scene.assets[band])
        ]
        detail = f"without {', '.join(lost)}"
        if keys:
            detail += "; these are objects in S3 or behind a login"
        reason = "s3-keys-needed" if keys else "incomplete"
        self._findings.lacks(source.product, source.name, scene.id, reason, detail)


def asset_is_reachable(source: Source, asset: SceneAsset) -> bool:
    """Tell whether a band can be fetched as configured; S3 needs keys, a login a token."""
    if source.type == "folder":
        return True
    if asset.href.startswith("https://"):
        return source.secret is not None or not asset.login
    # Plain http only where the catalogue itself is served that way (a server on one's own machine).
    plain = asset.href.startswith("http://") and str(source.url).startswith("http://")
    return plain and (source.secret is not None or not asset.login)


def _by_source(tiles: Sequence[Tile]) -> list[tuple[Source, list[Tile]]]:
    groups: dict[str, list[Tile]] = {}
    for tile in tiles:
        groups.setdefault(tile.source.name, []).append(tile)
    return [(group[0].source, group) for _, group in sorted(groups.items())]


def _band_name(job: object) -> str:
    if isinstance(job, tuple) and isinstance(job[0], Scene) and job[1] in BANDS:
        return f"{job[0].id} {job[1]}"
    return str(job)


def _told(error: Exception) -> str:
    """Return what happened without the path of this machine."""
    return error.strerror or "" if isinstance(error, OSError) else str(error)
