cwlVersion: v1.2
class: Workflow
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/", s: "https://schema.org/"}
id: orchard-monitoring
label: Monitor meadow orchards
doc: |
  Re-evaluates an inventory of meadow orchards: fetches surface model, orthophotos and Sentinel-2 of an
  area from configured sources, finds tree crowns, decides for each object whether it is confirmed,
  rejected or uncertain, with reasons, and publishes the result as a new release of a dataset.
  Give the area in exactly one way: area, bbox or district.
s:softwareVersion: "0.1.0"
s:keywords: [meadow orchard, Streuobst, Sentinel-2, surface model, orthophoto]
ogc:schema: |
  {"oneOf": [{"required": ["area"]}, {"required": ["bbox"]}, {"required": ["district"]}]}
requirements:
  ScatterFeatureRequirement: {}
  MultipleInputFeatureRequirement: {}
inputs:
  area:
    type: File?
    label: Area
    doc: Polygon of the run as GeoJSON, in longitude and latitude unless it has a crs member.
    ogc:schema: |
      {"contentMediaType": "application/geo+json", "oneOf": [
        {"type": "object", "format": "geojson-geometry"},
        {"type": "object", "format": "geojson-feature"},
        {"type": "object", "format": "geojson-feature-collection"}]}
  bbox:
    type:
      - "null"
      - type: record
        name: bounding_box
        fields:
          bbox: {type: "double[]"}
          crs: {type: "string?"}
    label: Bounding box
    doc: Rectangle of the run; longitude and latitude unless crs says otherwise.
    ogc:schema: |
      {"format": "ogc-bbox"}
  district:
    type: string?
    label: District
    doc: Official key (AGS) of a district or municipality; needs a source of districts.
    ogc:schema: |
      {"pattern": "^[0-9]{5}([0-9]{3})?$"}
  period:
    type: string
    label: Period
    doc: Time span to assess, an ISO 8601 interval such as 2023-01-01/2023-12-31.
    ogc:schema: |
      {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
  inventory:
    type: File
    label: Inventory
    doc: The orchards as the inventory has them, polygons as GeoJSON or GeoPackage.
    ogc:schema: |
      {"oneOf": [
        {"type": "object", "format": "geojson-feature-collection", "contentMediaType": "application/geo+json"},
        {"type": "string", "contentEncoding": "base64", "contentMediaType": "application/geopackage+sqlite3"}]}
  sources:
    type: string[]
    label: Sources
    doc: Names of configured sources, one for each product needed (surface model, orthophoto, Sentinel-2).
    ogc:schema: |
      {"minItems": 1, "maxItems": 20, "uniqueItems": true, "items": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$"}}
  crs:
    type: string
    default: EPSG:25832
    label: CRS
    doc: Coordinate reference system of all results; metric, the one of the surface model.
    ogc:schema: |
      {"pattern": "^EPSG:[0-9]{4,6}$"}
  batch_size:
    type: int
    default: 0
    label: Batch size
    doc: Tiles along one side of a batch, the unit of work; 0 chooses by the size of the area. Results do not depend on it.
    ogc:schema: |
      {"minimum": 0, "maximum": 20}
  dataset:
    type: string
    default: orchards
    label: Dataset
    doc: Dataset that gets the new release.
    ogc:schema: |
      {"pattern": "^[a-z][a-z0-9-]{0,40}$"}
  max_cloud:
    type: double
    default: 60
    label: Highest cloud cover
    doc: "Sentinel-2 scenes with more clouds are left out. Unit: per cent of the scene."
    ogc:schema: |
      {"minimum": 0, "maximum": 100}
  image_resolution:
    type: double
    default: 0.2
    label: Resolution of the image
    doc: "Finer orthophotos are reduced by a power of two up to this pixel size; 0 keeps them as they are. Decoding 10 cm instead of 20 cm costs twice the time and shows no more of a crown that is measured. Unit: m."
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  min_height:
    type: double
    default: 2.5
    label: Lowest tree height
    doc: "Lower tops are no trees. Young trees are lost above it, shrubs and crops come in below it. Unit: m."
    ogc:schema: |
      {"minimum": 0.5, "maximum": 20}
  decisions:
    type: File?
    label: People's decisions
    doc: CSV, GeoPackage or GeoJSON with object_id, verdict_human, decided; shown beside the verdict, never changing it.
    ogc:schema: |
      {"contentMediaType": "text/csv"}
  min_trees:
    type: int
    default: 10
    label: Trees of an orchard
    doc: "An object with at least so many trees may be confirmed. Unit: trees."
    ogc:schema: |
      {"minimum": 1, "maximum": 1000}
  max_trees_rejected:
    type: int
    default: 2
    label: Trees that speak against
    doc: "The surface model speaks against an orchard when it shows at most so many trees. Unit: trees."
    ogc:schema: |
      {"minimum": 0, "maximum": 100}
  min_density:
    type: double
    default: 25.0
    label: Lowest stand density
    doc: "An orchard has at least so many trees per hectare (17 m spacing is 35). Unit: trees/ha."
    ogc:schema: |
      {"minimum": 0, "maximum": 1000}
  max_density:
    type: double
    default: 150.0
    label: Highest stand density
    doc: "An orchard has at most so many trees per hectare (8 m spacing is 156). Unit: trees/ha."
    ogc:schema: |
      {"minimum": 1, "maximum": 2000}
  min_cover:
    type: double
    default: 0.08
    label: Lowest crown cover
    doc: "Crowns cover at least this share of an orchard. Unit: share of the area."
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  max_cover:
    type: double
    default: 0.7
    label: Highest crown cover
    doc: "Crowns cover at most this share of an orchard; more is wood or succession. Unit: share of the area."
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  min_area:
    type: double
    default: 1500.0
    label: Smallest object
    doc: "Smaller objects stay uncertain. Unit: m2."
    ogc:schema: |
      {"minimum": 0, "maximum": 100000}
  max_surface_age:
    type: double
    default: 4.0
    label: Oldest surface model
    doc: "An older surface model, counted back from the end of the period, gives no confirmation. Unit: years."
    ogc:schema: |
      {"minimum": 0, "maximum": 50}
  max_verdict_change:
    type: double
    default: 0.3
    label: Largest change of a verdict's share
    doc: |
      The release is refused when the share of a verdict among the objects of the area differs by more
      than this from the release before. Unit 1 (0.3 is 30 percentage points).
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  previous:
    type: Directory?
    label: Release to build on
    ogc:schema: |
      {"x-internal": true}
  source_config:
    type: File
    label: Configured sources
    ogc:schema: |
      {"x-internal": true}
steps:
  ingest:
    run: ../ingest/process.cwl
    in:
      area: area
      bbox: bbox
      district: district
      period: period
      inventory: inventory
      sources: sources
      crs: crs
      batch_size: batch_size
      source_config: source_config
      max_cloud: max_cloud
    out: [items, batches, objects, run_area, missing]
  preprocess:
    run: ../preprocess/process.cwl
    scatter: batch
    in:
      batch: ingest/batches
      objects: ingest/objects
      period: period
      image_resolution: image_resolution
    out: [sentinel2, image, prepared]
  detect:
    run: ../detect/process.cwl
    scatter: batch
    in:
      batch: ingest/batches
      min_height: min_height
    out: [crowns, surface]
  assess:
    run: ../assess/process.cwl
    in:
      inventory: ingest/objects
      area: ingest/run_area
      items: ingest/items
      period: period
      crowns: detect/crowns
      surface: detect/surface
      prepared: preprocess/prepared
      sentinel2: {source: preprocess/sentinel2, pickValue: all_non_null}
      image: {source: preprocess/image, pickValue: all_non_null}
      decisions: decisions
      min_trees: min_trees
      max_trees_rejected: max_trees_rejected
      min_density: min_density
      max_density: max_density
      min_cover: min_cover
      max_cover: max_cover
      min_area: min_area
      max_surface_age: max_surface_age
      min_height: min_height
    out: [objects, trees, candidates]
  publish:
    run: ../publish/process.cwl
    in:
      objects: assess/objects
      trees: assess/trees
      candidates: assess/candidates
      surface: detect/surface
      sentinel2: {source: preprocess/sentinel2, pickValue: all_non_null}
      items: ingest/items
      area: ingest/run_area
      missing: ingest/missing
      dataset: dataset
      period: period
      crs: crs
      previous: previous
      max_verdict_change: max_verdict_change
    out: [release, report, summary]
outputs:
  release:
    type: Directory
    label: Release
    doc: Folder with everything that was published.
    outputSource: publish/release
  objects:
    type: File
    label: Assessed objects
    doc: Verdict, reasons and values of each object of the area, as GeoPackage.
    outputSource: assess/objects
    ogc:schema: |
      {"contentMediaType": "application/geopackage+sqlite3"}
  trees:
    type: File
    label: Trees
    doc: Every tree crown that was found in the area, as GeoPackage.
    outputSource: assess/trees
    ogc:schema: |
      {"contentMediaType": "application/geopackage+sqlite3"}
  candidates:
    type: File
    label: Candidates
    doc: Possible orchards that the inventory lacks, as GeoPackage.
    outputSource: assess/candidates
    ogc:schema: |
      {"contentMediaType": "application/geopackage+sqlite3"}
  report:
    type: File
    label: Report
    doc: The result for people, in German and English.
    outputSource: publish/report
    ogc:schema: |
      {"contentMediaType": "text/html"}
  summary:
    type: File
    label: Summary
    doc: The numbers of the result for programs.
    outputSource: publish/summary
    ogc:schema: |
      {"contentMediaType": "application/json"}
