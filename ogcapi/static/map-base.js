// Maps without a base layer from anywhere: a net of longitudes and latitudes, and the outlines of the
// collections that are served.
"use strict";

const STEPS = [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005];
const LINES = 8; // at most across the width of a map

function positions(low, high, step) {
  const count = Math.ceil((high - low) / step) + 1;
  const first = Math.floor(low / step);
  return Array.from({ length: count }, (_, index) => (first + index) * step);
}

function label(value, step) {
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  return `${value.toFixed(digits)}°`;
}

function net(map) {
  const layer = L.layerGroup().addTo(map);
  const style = { color: "#9db09f", weight: 1, interactive: false };
  const draw = () => {
    layer.clearLayers();
    const bounds = map.getBounds().pad(0.1);
    const [west, south] = [bounds.getWest(), Math.max(-85, bounds.getSouth())];
    const [east, north] = [bounds.getEast(), Math.min(85, bounds.getNorth())];
    const step = [...STEPS].reverse().find((entry) => (east - west) / entry <= LINES) || STEPS[0];
    const mark = (position, text) => {
      const icon = L.divIcon({ className: "net-label", html: text, iconSize: null });
      L.marker(position, { icon, interactive: false, keyboard: false }).addTo(layer);
    };
    const corner = map.getBounds();
    for (const x of positions(west, east, step)) {
      L.polyline([[south, x], [north, x]], style).addTo(layer);
      mark([corner.getSouth(), x], label(x, step));
    }
    for (const y of positions(south, north, step)) {
      L.polyline([[y, west], [y, east]], style).addTo(layer);
      mark([y, corner.getWest()], label(y, step));
    }
  };
  map.on("moveend", draw);
  map.whenReady(draw);
}

// Returns the bounds of all collections, each drawn as a dashed rectangle; null where there are none.
async function outlines(map, address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) {
    return null;
  }
  let whole = null;
  const drawn = new Set();
  for (const collection of (await answer.json()).collections) {
    const box = collection.extent?.spatial?.bbox?.[0];
    if (!box || box.length < 4 || drawn.has(String(box))) {
      continue;
    }
    drawn.add(String(box));
    const half = box.length / 2;
    const bounds = L.latLngBounds([box[1], box[0]], [box[half + 1], box[half]]);
    const style = { color: "#5a6b5d", weight: 1, dashArray: "4 4", fill: false, interactive: false };
    L.rectangle(bounds, style).addTo(map);
    whole = whole ? whole.extend(bounds) : L.latLngBounds(bounds.getSouthWest(), bounds.getNorthEast());
  }
  return whole;
}

export function makeMap(element) {
  const map = L.map(element, { attributionControl: false, preferCanvas: true, zoomSnap: 0.25 });
  map.setView([51.5, 7.5], 7);
  net(map);
  L.control.scale({ imperial: false }).addTo(map);
  const known = outlines(map, element.dataset.outlines).catch(() => null);
  return { map, known };
}
