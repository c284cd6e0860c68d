"""What each source says on its own: for an orchard, against one, or nothing.

A signal is True, False, or None when the source cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass

from processes.assess.evidence import Evidence, Image, Sentinel2, Surface
from processes.assess.thresholds import Thresholds


@dataclass(frozen=True)
class Votes:
    """The signals of one object, and which groups speak for and against an orchard."""

    trees_for: bool
    trees_against: bool
    building_surface: bool
    grassland_sentinel2: bool | None
    grassland_image: bool | None
    arable: bool
    building_sentinel2: bool
    open_image: bool
    even_image: bool
    groups_for: frozenset[str]
    groups_against: frozenset[str]

    @property
    def grassland(self) -> bool | None:
        """The grassland signal: Sentinel-2's, else the image's."""
        if self.grassland_sentinel2 is not None:
            return self.grassland_sentinel2
        return self.grassland_image


def cast(evidence: Evidence, limits: Thresholds) -> Votes:
    """Return what each source says."""
    surface = complete_surface(evidence, limits)
    image = complete_image(evidence, limits)
    sentinel2 = strong_sentinel2(evidence, limits)
    trees_for = surface is not None and _orchard_like(surface, limits)
    trees_against = surface is not None and surface.trees <= limits.max_trees_rejected
    building_surface = surface is not None and surface.structure_share >= limits.max_structure_share
    grassland_image = _grassland_image(image, limits)
    open_image = (
        image is not None
        and image.open_share is not None
        and image.open_share >= limits.max_open_share
    )
    even_image = (
        image is not None
        and image.rough_share is not None
        and image.rough_share < limits.max_rough_share
        and (not trees_for or _later("image", "surface", evidence))
    )
    building_sentinel2 = sentinel2 is not None and _sealed(sentinel2, limits)
    arable = (
        sentinel2 is not None
        and sentinel2.bare_dates >= limits.min_bare_dates
        and not building_sentinel2
    )
    grassland_sentinel2 = None
    if sentinel2 is not None:
        grassland_sentinel2 = not (arable or building_sentinel2) and _green(sentinel2, limits)
    says_for = {"surface": trees_for, "sentinel2": grassland_sentinel2}
    says_for["image"] = grassland_image and not even_image
    says_against = {
        "surface": trees_against or building_surface,
        "image": open_image or even_image,
        "sentinel2": arable or building_sentinel2,
    }
    return Votes(
        trees_for=trees_for,
        trees_against=trees_against,
        building_surface=building_surface,
        grassland_sentinel2=grassland_sentinel2,
        grassland_image=grassland_image,
        arable=arable,
        building_sentinel2=building_sentinel2,
        open_image=open_image,
        even_image=even_image,
        groups_for=frozenset(group for group, says in says_for.items() if says),
        groups_against=frozenset(group for group, says in says_against.items() if says),
    )


def complete_surface(evidence: Evidence, limits: Thresholds) -> Surface | None:
    """Return the surface evidence when it covers enough of the object to count trees."""
    surface = evidence.surface
    return surface if surface is not None and surface.share >= limits.min_data_share else None


def complete_image(evidence: Evidence, limits: Thresholds) -> Image | None:
    """Return the image evidence when it covers enough of the object."""
    image = evidence.image
    return image if image is not None and image.share >= limits.min_data_share else None


def strong_sentinel2(evidence: Evidence, limits: Thresholds) -> Sentinel2 | None:
    """Return the Sentinel-2 evidence when it has enough dates and pixels to be believed."""
    metrics = evidence.sentinel2
    if metrics is None or metrics.clear_dates < limits.min_clear_dates:
        return None
    return metrics if metrics.pixels >= limits.min_pixels else None


def _later(group: str, other: str, evidence: Evidence) -> bool:
    first, second = evidence.sources.get(group), evidence.sources.get(other)
    if first is None or second is None or first.since is None or second.since is None:
        return False
    return first.since > second.since


def _orchard_like(surface: Surface, limits: Thresholds) -> bool:
    return (
        surface.trees >= limits.min_trees
        and limits.min_density <= surface.trees_per_ha <= limits.max_density
        and limits.min_cover <= surface.cover <= limits.max_cover
    )


def _grassland_image(image: Image | None, limits: Thresholds) -> bool | None:
    if image is None or image.green_share is None:
        return None
    return image.green_share >= limits.min_green_share


def _sealed(metrics: Sentinel2, limits: Thresholds) -> bool:
    flat = metrics.ndvi_p90 - metrics.ndvi_p10 < limits.building_range
    return metrics.ndvi_p90 < limits.building_ndvi and flat


def _green(metrics: Sentinel2, limits: Thresholds) -> bool:
    if metrics.ndvi_p50 >= limits.min_grass_ndvi:
        return True
    # In a drought all grassland turns yellow; the grassland around shows it.
    difference = metrics.difference
    return difference is not None and difference >= -limits.max_grass_difference
