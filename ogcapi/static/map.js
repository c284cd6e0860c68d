// Draws the features of one or more addresses (GeoJSON, CRS84), or of the page itself, on a map.
"use strict";

import { makeMap } from "./map-base.js";

const COLOURS = { confirmed: "#2f7d32", rejected: "#b3261e", uncertain: "#b26a00" };
const MEANINGS = JSON.parse(document.getElementById("meanings").textContent);
const NAMES = ["name", "object_id", "verdict", "reason_main", "trees", "height_m", "area_m2"];

function style(feature) {
  const properties = feature.properties || {};
  const colour = COLOURS[properties.verdict] || ("candidate_id" in properties ? "#3f51b5" : "#2f6b3a");
  return { color: colour, weight: 2, fillOpacity: 0.25 };
}

function label(feature, layer) {
  const box = document.createElement("div");
  const properties = feature.properties || {};
  for (const name of NAMES.filter((key) => properties[key] !== null && properties[key] !== undefined)) {
    const line = document.createElement("div");
    const value = MEANINGS.values[name]?.[properties[name]] ?? properties[name];
    line.textContent = `${MEANINGS.columns[name] ?? name}: ${value}`;
    box.append(line);
  }
  layer.bindPopup(box);
}

function point(feature, position) {
  return L.circleMarker(position, { radius: 4 });
}

async function draw(element) {
  const { map, known } = makeMap(element);
  const group = L.featureGroup().addTo(map);
  const options = { style, onEachFeature: label, pointToLayer: point };
  if (element.dataset.features) {
    const source = document.getElementById(element.dataset.features);
    group.addLayer(L.geoJSON(JSON.parse(source.textContent), options));
  }
  for (const address of (element.dataset.addresses || "").split(" ").filter(Boolean)) {
    const answer = await fetch(address, { headers: { Accept: "application/geo+json" } });
    if (answer.ok) {
      const found = await answer.json();
      group.addLayer(L.geoJSON(found, options));
      if (found.numberMatched > found.numberReturned) {
        element.nextElementSibling.hidden = false; // the sentence that says so
      }
    }
  }
  const bounds = group.getBounds().isValid() ? group.getBounds() : await known;
  if (bounds) {
    map.fitBounds(bounds.pad(0.05));
  }
  element.dataset.drawn = group.getLayers().length;
}

document.querySelectorAll(".map").forEach(draw);
