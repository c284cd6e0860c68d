"""Puts the landscape together: parcels, objects on them, trees and buildings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import shapely

from landscape_parts import built, plan, trees
from landscape_parts.frame import IMAGE_DATE, SURFACE_DATE, Array, Frame, Rect
from landscape_parts.layout import Layout, Parcel, lay_out, new_parcel
from landscape_parts.places import find_place


@dataclass
class World:
    """The whole landscape; `parcels` in drawing order, `trees` with the fields of `TREE`."""

    frame: Frame
    parcels: list[Parcel]
    trees: Array
    solids: list[built.Solid]
    objects: list[plan.PlannedObject]


@dataclass
class _Site:
    """A world being built."""

    frame: Frame
    rng: np.random.Generator
    layout: Layout
    overlays: list[Parcel] = field(default_factory=list)
    stock: list[Array] = field(default_factory=list)
    solids: list[built.Solid] = field(default_factory=list)
    objects: list[plan.PlannedObject] = field(default_factory=list)
    free: list[Rect] = field(default_factory=list)


def build_world(frame: Frame, objects_share: float) -> World:
    """Lay out and fill the landscape; inventory objects cover about `objects_share` of it."""
    layout = lay_out(frame)
    site = _Site(frame, frame.stream("world"), layout)
    _fill_leaves(site)
    wanted = _wanted(frame, objects_share, site.rng)
    for kind in wanted:
        rect = find_place(frame, site.rng, site.free, kind)
        if rect is not None:
            _settle(site, kind, rect)
    _lone_trees(site)
    roads = [parcel for parcel in layout.parcels if parcel.use == "road"]
    fields = [parcel for parcel in layout.parcels if parcel.use != "road"]
    stock = np.concatenate(site.stock)
    stock = _clear_of_solids(stock, site.solids)
    _name_objects(site)
    return World(frame, fields + site.overlays + roads, stock, site.solids, site.objects)


def _wanted(frame: Frame, objects_share: float, rng: np.random.Generator) -> list[plan.Kind]:
    """Kinds to place, the ones that every bench should hold first."""
    count = max(4, round(objects_share * frame.size**2 / 4300))
    names = list(plan.FIRST[:count])
    weights = np.array(list(plan.WEIGHTS.values()), float)
    more = rng.choice(list(plan.WEIGHTS), max(0, count - len(names)), p=weights / weights.sum())
    names += [str(name) for name in more]
    others = max(2, min(len(plan.OTHER_FIRST), round(count * 0.65)))
    rounds = max(1, round(count / 40))
    kinds = [plan.INVENTORY[name] for name in names]
    other = [plan.OTHER[name] for name in plan.OTHER_FIRST[:others] * rounds]
    return kinds[:3] + other[:1] + kinds[3:] + other[1:]


def _fill_leaves(site: _Site) -> None:
    """Woods, hamlets and hedges; what is left of meadows and fields becomes free for objects."""
    meadows: list[Rect] = []
    fields: list[Rect] = []
    for parcel in site.layout.parcels:
        rect = parcel.rect
        if parcel.use == "wood":
            conifers = float(site.rng.choice([0.05, 0.15, 0.9]))
            tall = float(site.rng.uniform(16, 26))
            site.stock.append(trees.wood(site.frame, site.rng, rect, conifers, tall, -1))
        elif parcel.use == "hamlet":
            parcel.use = "garden"
            _hamlet(site, rect)
        elif parcel.use in ("meadow", "arable"):
            (meadows if parcel.use == "meadow" else fields).append(_edge(site, rect).inset(4))
    near = _distance_to_hamlets(site)
    site.free = sorted(meadows, key=near) + sorted(fields, key=near)


def _edge(site: _Site, rect: Rect) -> Rect:
    """Give some parcels a hedge or a row of trees along one edge; what remains of the rect."""
    chance = site.rng.uniform()
    if chance > 0.34 or rect.width < 40:
        return rect
    strip = Rect(rect.u0 + 3, rect.v0 + 0.5, rect.u1 - 3, rect.v0 + 4.5)
    plant = trees.hedge if chance < 0.22 else trees.tree_row
    site.stock.append(plant(site.frame, site.rng, strip, -1))
    return Rect(rect.u0, rect.v0 + 9, rect.u1, rect.v1)


def _hamlet(site: _Site, rect: Rect) -> None:
    """Houses in their gardens; a farm where there is room for one."""
    inner = rect.inset(4)
    if min(inner.width, inner.height) > 70 and site.rng.uniform() < 0.6:
        left = Rect(inner.u0, inner.v0, inner.u0 + 70, inner.v1)
        _farm(site, left)
        inner = Rect(inner.u0 + 72, inner.v0, inner.u1, inner.v1)
    if inner.width < 25 or inner.height < 25:
        return
    for place in trees.grid(inner, site.rng, (29.0, 33.0), 2.0, 0.12):
        site.solids += built.house(site.frame, site.rng, (float(place[0]), float(place[1])))
    site.stock.append(trees.garden(site.frame, site.rng, inner, -1))


def _farm(site: _Site, rect: Rect) -> None:
    """Buildings round a paved yard."""
    u, v = rect.centre
    yard = Rect(u - 24, v - 20, u + 26, v + 21)
    site.overlays.append(new_parcel(site.frame, "yard", yard, site.rng))
    site.solids += built.farm(site.frame, site.rng, rect)


def _settle(site: _Site, kind: plan.Kind, rect: Rect) -> None:
    """Make the object real: its parcel, trees and buildings."""
    number = len(site.objects)
    outline = site.frame.outline(rect)
    site.objects.append(plan.PlannedObject(number, kind, rect, outline))
    use = {
        "cleared-to-arable": "arable",
        "built-over": "garden",
        "farm": "garden",
        "park": "garden",
        "overgrown": "wood",
        "christmas-trees": "nursery-ground",
        "nursery": "nursery-ground",
    }.get(kind.name, "orchard-meadow" if kind.state == "orchard" else "meadow")
    parcel = new_parcel(site.frame, use, rect, site.rng)
    site.overlays.append(parcel)
    if kind.name.startswith("bales"):
        parcel.tags["mown"] = 1.0
    _plant(site, kind.name, rect, number)
    _build(site, kind.name, rect)


def _plant(site: _Site, name: str, rect: Rect, number: int) -> None:
    frame, rng = site.frame, site.rng
    if name.startswith("orchard-") or name in ("candidate-orchard", "cleared-after-surface"):
        age = {
            "orchard-mature": "mature",
            "orchard-mixed": "mixed",
            "orchard-young": "young",
            "orchard-small": "mature",
        }.get(name, "old")
        stand = trees.orchard(frame, rng, rect, age, number)
        if name == "orchard-thinned":
            stand = rng.permutation(stand)[:5]
        if name == "cleared-after-surface":
            stand["last"] = (SURFACE_DATE.toordinal() + IMAGE_DATE.toordinal()) // 2
        site.stock.append(stand)
    elif name == "overgrown":
        site.stock.append(trees.wood(frame, rng, rect, 0.03, 13.0, number))
    elif name in ("plantation", "never-plantation"):
        site.stock.append(trees.plantation(frame, rng, rect, number))
    elif name == "christmas-trees":
        site.stock.append(trees.christmas_trees(frame, rng, rect, number))
    elif name == "nursery":
        site.stock.append(trees.nursery(frame, rng, rect, number))
    elif name in ("park", "built-over"):
        stand = trees.garden(frame, rng, rect, number)
        if name == "built-over":  # new gardens hold little yet
            stand["crown"] *= 0.5
            stand["height"] *= 0.5
            stand = stand[_off_street(frame, rect, stand)]
        site.stock.append(stand)
    elif name == "never-hedge":
        u, v = rect.centre
        if rect.width >= rect.height:
            strips = [Rect(rect.u0, v - 4.5, rect.u1, v - 2), Rect(rect.u0, v + 2, rect.u1, v + 4)]
        else:
            strips = [Rect(u - 4.5, rect.v0, u - 2, rect.v1), Rect(u + 2, rect.v0, u + 4, rect.v1)]
        site.stock += [trees.hedge(frame, rng, strip, number) for strip in strips]


def _off_street(frame: Frame, rect: Rect, stand: Array) -> Array:
    """Whether each tree stands beside the street along the middle of `rect`."""
    street = frame.outline(_street(rect)).buffer(1)
    return ~shapely.contains_xy(street, stand["x"], stand["y"])


def _street(rect: Rect) -> Rect:
    u, v = rect.centre
    if rect.width >= rect.height:
        return Rect(rect.u0, v - 4, rect.u1, v + 4)
    return Rect(u - 4, rect.v0, u + 4, rect.v1)


def _build(site: _Site, name: str, rect: Rect) -> None:
    frame, rng = site.frame, site.rng
    if name == "built-over":
        site.overlays.append(new_parcel(frame, "yard", _street(rect), rng))
        site.solids += built.estate(frame, rng, rect)
    elif name in ("solar-park", "solar-over-orchard"):
        site.solids += built.solar_park(frame, rng, rect)
    elif name == "farm":
        _farm(site, rect)
    elif name in ("bales", "bales-image"):
        day = SURFACE_DATE if name == "bales" else IMAGE_DATE
        site.solids += built.bales(frame, rng, rect, day)


def _lone_trees(site: _Site) -> None:
    """Single large trees on what stayed free."""
    for rect in site.free:
        if rect.area > 3000 and site.rng.uniform() < 0.4:
            places = trees.scatter(rect.inset(3), site.rng, 85.0)
            crown = site.rng.uniform(6, 14, len(places))
            height = crown * site.rng.uniform(0.9, 1.4, len(places)) + 1
            site.stock.append(
                trees.make_trees(site.frame, site.rng, places, "broadleaf", crown, height)
            )


def _clear_of_solids(stock: Array, solids: list[built.Solid]) -> Array:
    """Trees that do not grow out of a building."""
    keep = np.ones(len(stock), bool)
    for solid in solids:
        if solid.kind in ("bale", "panel"):
            continue
        reach = 0.5 * math.hypot(solid.length, solid.width) + 0.25
        near = np.hypot(stock["x"] - solid.x, stock["y"] - solid.y) < reach + stock["crown"] * 0.3
        keep &= ~near
    return stock[keep]


def _distance_to_hamlets(site: _Site) -> Callable[[Rect], float]:
    """A sort key: orchards lie round hamlets, with some chance."""

    def key(rect: Rect) -> float:
        u, v = rect.centre
        near = min(math.hypot(u - hu, v - hv) for hu, hv in site.layout.hamlets)
        return near * float(site.rng.uniform(0.7, 1.3))

    return key


def _name_objects(site: _Site) -> None:
    """Inventory objects get the names that a state's inventory would give them."""
    count = 0
    for planned in site.objects:
        if planned.kind.inventory:
            count += 1
            planned.object_id = f"TB-{count:04d}"
            planned.name = f"Obstwiese {count} (Testfläche)"
