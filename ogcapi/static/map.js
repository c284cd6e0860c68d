// Draws the features of one or more addresses (GeoJSON, CRS84) on a map without a base layer.
"use strict";

const COLOURS = { confirmed: "#2f7d32", rejected: "#b3261e", uncertain: "#b26a00" };

function style(feature) {
  const properties = feature.properties || {};
  const colour = COLOURS[properties.verdict] || ("candidate_id" in properties ? "#3f51b5" : "#2f6b3a");
  return { color: colour, weight: 2, fillOpacity: 0.25 };
}

function label(feature, layer) {
  const box = document.createElement("div");
  const properties = feature.properties || {};
  const names = ["name", "object_id", "verdict", "reason_main", "trees", "height_m", "area_m2"];
  for (const name of names.filter((key) => properties[key] !== null && properties[key] !== undefined)) {
    const line = document.createElement("div");
    line.textContent = `${name}: ${properties[name]}`;
    box.append(line);
  }
  layer.bindPopup(box);
}

function point(feature, position) {
  return L.circleMarker(position, { radius: 4 });
}

async function draw(element) {
  const map = L.map(element, { attributionControl: false, preferCanvas: true, zoomSnap: 0.25 });
  const group = L.featureGroup().addTo(map);
  const options = { style, onEachFeature: label, pointToLayer: point };
  if (element.dataset.features) {
    const source = document.getElementById(element.dataset.features);
    group.addLayer(L.geoJSON(JSON.parse(source.textContent), options));
  }
  for (const address of (element.dataset.addresses || "").split(" ").filter(Boolean)) {
    const answer = await fetch(address, { headers: { Accept: "application/geo+json" } });
    if (answer.ok) {
      group.addLayer(L.geoJSON(await answer.json(), options));
    }
  }
  L.control.scale({ imperial: false }).addTo(map);
  if (group.getLayers().length && group.getBounds().isValid()) {
    map.fitBounds(group.getBounds().pad(0.05));
  } else {
    map.setView([51.5, 7.5], 8);
  }
}

document.querySelectorAll(".map").forEach(draw);
