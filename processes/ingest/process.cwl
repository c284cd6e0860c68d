cwlVersion: v1.2
class: CommandLineTool
$namespaces:
  ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/"
  s: "https://schema.org/"
id: ingest
label: Find and fetch input data
s:softwareVersion: "0.1.0"
s:keywords: [ingestion, nDOM, orthophoto, Sentinel-2, STAC, open data]
doc: |
  Finds what a run needs in the named sources and fetches it: nDOM tiles that touch the area or one of
  its inventory objects, orthophotos where objects lie, Sentinel-2 scenes of the period (one copy per
  datatake and MGRS tile). Each file is checked before it counts. Gives a STAC item per file, the
  inventory of the area in one form, and the list of tile batches over which later steps scatter.
  What could not be had is named with its reason.
baseCommand: [python, -m, processes.ingest]
hints:
  DockerRequirement:
    dockerPull: cdi/stage:0.1.0
requirements:
  ResourceRequirement:
    coresMin: 1
    ramMin: 1024
    ramMax: 4096
  ToolTimeLimit:
    timelimit: 86400
  NetworkAccess:
    networkAccess: true
  WorkReuse:
    enableReuse: false
permanentFailCodes: [65]
temporaryFailCodes: [75]
inputs:
  area:
    type: File?
    label: Area
    doc: |
      GeoJSON polygon, multipolygon or features of them; longitude and latitude, unless a `crs` member
      names another CRS. Exactly one of `area`, `bbox` and `district` is given.
    inputBinding:
      prefix: --area
    ogc:schema: |
      {"contentMediaType": "application/geo+json", "oneOf": [
        {"type": "object", "format": "geojson-geometry"},
        {"type": "object", "format": "geojson-feature"},
        {"type": "object", "format": "geojson-feature-collection"}]}
  bbox:
    type:
      - "null"
      - type: record
        name: bbox
        fields:
          bbox:
            type: double[]
            inputBinding:
              prefix: "--bbox="
              separate: false
              itemSeparator: ","
          crs:
            type: string?
            inputBinding:
              prefix: "--bbox-crs="
              separate: false
    inputBinding: {}
    label: Rectangle
    doc: |
      Area as left, bottom, right, top in `crs` (longitude and latitude when it is not given). Exactly
      one of `area`, `bbox` and `district` is given.
    ogc:schema: |
      {"allOf": [{"format": "ogc-bbox"}, {"$ref": "https://schemas.opengis.net/ogcapi/processes/part1/1.0/openapi/schemas/bbox.yaml"}]}
  district:
    type: string?
    label: District
    doc: |
      Official key (AGS) of a district (5 digits) or municipality (8 digits), such as 05170 for Kreis
      Wesel. Exactly one of `area`, `bbox` and `district` is given.
    inputBinding:
      prefix: --district
    ogc:schema: |
      {"pattern": "^([0-9]{5}|[0-9]{8})$"}
  period:
    type: string
    label: Period
    doc: ISO 8601 interval. Sentinel-2 scenes of it are used, and the newest tiles up to its last year.
    inputBinding:
      prefix: --period
    ogc:schema: |
      {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9:]+)?)?/[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9:]+)?)?$", "example": "2023-01-01/2023-12-31"}
  inventory:
    type: File
    label: Inventory
    doc: GeoPackage or GeoJSON with the polygons of known orchards, in any CRS.
    inputBinding:
      prefix: --inventory
    ogc:schema: |
      {"oneOf": [{"contentMediaType": "application/geopackage+sqlite3"}, {"contentMediaType": "application/geo+json"}]}
  sources:
    type: string[]
    label: Sources
    doc: Names of configured sources. Of two that have the same tile the one named first is used.
    inputBinding:
      prefix: --sources
    ogc:schema: |
      {"minItems": 1, "items": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"}}
  source_config:
    type: File?
    label: Source file
    doc: What the names of sources mean.
    inputBinding:
      prefix: --source-config
    ogc:schema: |
      {"x-internal": true}
  crs:
    type: string
    default: "EPSG:25832"
    label: Coordinate reference system
    doc: CRS of the run; projected, in metres. The nDOM and orthophoto sources must be in it.
    inputBinding:
      prefix: --crs
    ogc:schema: |
      {"pattern": "^[A-Za-z]+:[A-Za-z0-9]+$"}
  batch_size:
    type: int
    default: 0
    label: Batch size
    doc: |
      Tiles along one side of a batch; 0 chooses: one tile below 25 tiles, else 4. Results do not
      depend on it.
    inputBinding:
      prefix: --batch-size
    ogc:schema: |
      {"minimum": 0, "maximum": 32}
  buffer:
    type: double
    default: 30
    label: Buffer
    doc: Metres read around a batch, so that crowns at its edge are whole.
    inputBinding:
      prefix: --buffer
    ogc:schema: |
      {"minimum": 0, "maximum": 1000}
  max_cloud:
    type: double
    default: 60
    label: Highest cloud cover
    doc: "Sentinel-2 scenes with more clouds are left out. Unit: per cent of the scene."
    inputBinding:
      prefix: --max-cloud
    ogc:schema: |
      {"minimum": 0, "maximum": 100}
  verify_cache:
    type: boolean
    default: false
    label: Verify the cache
    doc: Read and hash every cached file again before it is used.
    inputBinding:
      prefix: --verify-cache
outputs:
  items:
    type: File
    label: Items
    doc: STAC ItemCollection of all input files, with checksums, licences and acquisitions.
    outputBinding:
      glob: items.json
    ogc:schema: |
      {"contentMediaType": "application/geo+json"}
  objects:
    type: File
    label: Inventory objects
    doc: GeoPackage, layer `objects`; the objects whose representative point lies in the area.
    outputBinding:
      glob: objects.gpkg
    ogc:schema: |
      {"contentMediaType": "application/geopackage+sqlite3"}
  run_area:
    type: File
    label: Area of the run
    doc: GeoJSON in the run's CRS, which its `crs` member names.
    outputBinding:
      glob: area.geojson
    ogc:schema: |
      {"contentMediaType": "application/geo+json"}
  missing:
    type: File
    label: What was missing
    doc: JSON; each file, tile or scene that could not be had and why, and notes on what was decided.
    outputBinding:
      glob: missing.json
    ogc:schema: |
      {"contentMediaType": "application/json"}
  batches:
    label: Tile batches
    doc: One record per batch, with the files it needs, its own and those of its surroundings.
    type:
      type: array
      items:
        type: record
        name: batch
        fields:
          id: string
          core: double[]
          buffer: double
          crs: string
          ndom: File[]
          dop: File[]
          s2: File[]
          items: File
