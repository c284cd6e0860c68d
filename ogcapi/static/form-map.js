// Draws rectangles and polygons into the fields of a form, and shows what the fields hold.
"use strict";

import { makeMap } from "./map-base.js";

const DIGITS = 6; // of degrees: a decimetre
const STYLE = { color: "#b3261e", weight: 2, fillOpacity: 0.1 };
const CRS84 = /^(OGC:)?CRS84$|\/CRS84$/;

function round(value) {
  return Number(value.toFixed(DIGITS));
}

function write(control, value) {
  control.value = value;
  control.dispatchEvent(new Event("input", { bubbles: true }));
}

// A rectangle: dragged from corner to corner, written as four numbers in longitude and latitude.
function rectangle(field, map, shapes, button) {
  const numbers = [0, 1, 2, 3].map((index) => document.getElementById(`${field.id}.${index}`));
  const crs = document.getElementById(`${field.id}.crs`);
  let from = null;

  const show = () => {
    shapes.clearLayers();
    const [west, south, east, north] = numbers.map((input) => (input.value === "" ? NaN : Number(input.value)));
    if ([west, south, east, north].every(Number.isFinite) && CRS84.test(crs.value.trim())) {
      L.rectangle([[south, west], [north, east]], STYLE).addTo(shapes);
    }
  };
  const stop = () => {
    from = null;
    map.dragging.enable();
    button.setAttribute("aria-pressed", "false");
    map.getContainer().classList.remove("drawing-now");
  };
  button.addEventListener("click", () => {
    map.dragging.disable();
    button.setAttribute("aria-pressed", "true");
    map.getContainer().classList.add("drawing-now");
  });
  const container = map.getContainer();
  const drawing = () => button.getAttribute("aria-pressed") === "true";
  container.addEventListener("pointerdown", (event) => {
    if (drawing()) {
      from = map.mouseEventToLatLng(event);
      container.setPointerCapture(event.pointerId);
    }
  });
  const bounds = (event) => L.latLngBounds(from, map.mouseEventToLatLng(event));
  container.addEventListener("pointermove", (event) => {
    if (from) {
      shapes.clearLayers();
      L.rectangle(bounds(event), STYLE).addTo(shapes);
    }
  });
  container.addEventListener("pointerup", (event) => {
    if (from) {
      const box = bounds(event);
      stop();
      const corners = [box.getWest(), box.getSouth(), box.getEast(), box.getNorth()].map(round);
      crs.value = "OGC:CRS84";
      numbers.forEach((input, index) => { input.value = corners[index]; });
      write(crs, crs.value);
    }
  });
  field.addEventListener("input", show);
  return { show, clear: () => { numbers.forEach((input) => { input.value = ""; }); write(crs, "OGC:CRS84"); stop(); } };
}

// A polygon: clicked corner by corner, written as GeoJSON.
function polygon(field, map, shapes, button) {
  const text = document.getElementById(`${field.id}.text`);
  const finish = field.querySelector("[data-finish]");
  let corners = [];

  const show = () => {
    shapes.clearLayers();
    try {
      L.geoJSON(JSON.parse(text.value), { style: STYLE }).addTo(shapes);
    } catch {
      // no GeoJSON, or not yet
    }
  };
  const stop = () => {
    corners = [];
    finish.disabled = true;
    button.setAttribute("aria-pressed", "false");
    map.getContainer().classList.remove("drawing-now");
  };
  button.addEventListener("click", () => {
    stop();
    shapes.clearLayers();
    button.setAttribute("aria-pressed", "true");
    map.getContainer().classList.add("drawing-now");
  });
  map.on("click", (event) => {
    if (button.getAttribute("aria-pressed") === "true") {
      corners.push(event.latlng);
      shapes.clearLayers();
      L.polygon(corners, STYLE).addTo(shapes);
      finish.disabled = corners.length < 3;
    }
  });
  finish.addEventListener("click", () => {
    const ring = [...corners, corners[0]].map((corner) => [round(corner.lng), round(corner.lat)]);
    const geometry = { type: "Polygon", coordinates: [ring] };
    const feature = { type: "Feature", properties: {}, geometry };
    const whole = { type: "FeatureCollection", features: [feature] };
    const forms = { geometry, feature, "feature-collection": whole };
    stop();
    write(text, JSON.stringify(forms[field.dataset.map]));
  });
  text.addEventListener("input", show);
  return { show, clear: () => { stop(); write(text, ""); } };
}

export function drawable(field) {
  const { map, known } = makeMap(field.querySelector(".map"));
  const shapes = L.featureGroup().addTo(map);
  const button = field.querySelector("[data-draw]");
  const tool = (field.dataset.map === "bbox" ? rectangle : polygon)(field, map, shapes, button);
  field.querySelector("[data-clear]").addEventListener("click", tool.clear);
  tool.show();
  const see = async () => {
    map.invalidateSize();
    const bounds = shapes.getBounds().isValid() ? shapes.getBounds() : await known;
    if (bounds) {
      map.fitBounds(bounds.pad(0.2));
    }
  };
  see();
  // A map in a closed part of the form has no size before that is opened.
  field.closest("details")?.addEventListener("toggle", see);
}
