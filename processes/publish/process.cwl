cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/", s: "https://schema.org/"}
id: publish
label: Publish a checked release
doc: |
  Makes a release from assessed objects, trees, candidates and rasters: GeoPackages, COGs, a manifest
  with checksums, a summary for programs and a report for people in German and English.
  Objects at home in the area of the run replace those of the release before, all others are carried
  over with their own provenance; rasters of earlier runs are referenced, not copied.
  The release is made only when every check passes: schema, CRS, geometry, unique ids, references,
  counts, verdicts and their shares against before, rasters. Otherwise the step ends with exit code 65,
  names the check, and the release before stays as it is.
s:softwareVersion: "0.1.0"
s:keywords: [release, report, quality check]
baseCommand: [python, -m, processes.publish]
hints:
  DockerRequirement: {dockerPull: "cdi/stage:0.1.0"}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 1024, ramMax: 8192}
  ToolTimeLimit: {timelimit: 3600}
  NetworkAccess: {networkAccess: false}
  InitialWorkDirRequirement:
    listing: ["$(inputs.surface)", "$(inputs.sentinel2)"]
permanentFailCodes: [65]
temporaryFailCodes: [75]
inputs:
  objects:
    type: File
    label: Assessed objects
    doc: GeoPackage with layer objects, as the stage assess writes it.
    inputBinding: {prefix: --objects}
    ogc:schema: |
      {"contentMediaType": "application/geopackage+sqlite3"}
  trees:
    type: File
    label: Trees
    doc: GeoPackage with layer trees, as the stage assess writes it.
    inputBinding: {prefix: --trees}
    ogc:schema: |
      {"contentMediaType": "application/geopackage+sqlite3"}
  candidates:
    type: File
    label: Candidates
    doc: GeoPackage with layer candidates, possible orchards that the inventory lacks.
    inputBinding: {prefix: --candidates}
    ogc:schema: |
      {"contentMediaType": "application/geopackage+sqlite3"}
  surface:
    type: File[]
    default: []
    label: Surface rasters
    doc: Normalised surface model (metres), one COG for each batch, named ndom-ID.tif.
    ogc:schema: |
      {"contentMediaType": "image/tiff; application=geotiff; profile=cloud-optimized"}
  sentinel2:
    type: File[]
    default: []
    label: Sentinel-2 metrics
    doc: Yearly Sentinel-2 metrics, one GeoTIFF for each batch, named sentinel2-ID.tif.
    ogc:schema: |
      {"contentMediaType": "image/tiff; application=geotiff"}
  items:
    type: File
    label: Items
    doc: STAC FeatureCollection of all input files with dates, licence and attribution.
    inputBinding: {prefix: --items}
    ogc:schema: |
      {"contentMediaType": "application/geo+json"}
  area:
    type: File
    label: Area of the run
    doc: GeoJSON polygon in the CRS of the run, with a crs member.
    inputBinding: {prefix: --area}
    ogc:schema: |
      {"contentMediaType": "application/geo+json"}
  missing:
    type: File
    label: What was missing
    doc: JSON list of inputs that were not there, and why.
    inputBinding: {prefix: --missing}
    ogc:schema: |
      {"contentMediaType": "application/json"}
  dataset:
    type: string
    default: orchards
    label: Dataset
    doc: Name of the dataset that gets the release.
    inputBinding: {prefix: --dataset}
    ogc:schema: |
      {"pattern": "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"}
  period:
    type: string
    label: Period
    doc: Time span that was assessed, an ISO 8601 interval such as 2023-01-01/2023-12-31.
    inputBinding: {prefix: --period}
  previous:
    type: Directory?
    label: Release to build on
    doc: Folder of the release that is current; its name is the version.
    inputBinding: {prefix: --previous}
    ogc:schema: |
      {"x-internal": true}
  crs:
    type: string
    default: EPSG:25832
    label: CRS
    doc: Coordinate reference system of all layers and rasters; metric.
    inputBinding: {prefix: --crs}
    ogc:schema: |
      {"pattern": "^EPSG:[0-9]{4,6}$"}
  max_verdict_change:
    type: double
    default: 0.3
    label: Largest change of a verdict's share
    doc: |
      The release is refused when the share of a verdict among the objects of the area differs by more
      than this from the release before. Unit 1 (0.3 is 30 percentage points).
    inputBinding: {prefix: --max-verdict-change}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  min_compared:
    type: int
    default: 30
    label: Fewest objects to compare
    doc: "Shares are compared only when there are this many objects now and before. Unit: objects."
    inputBinding: {prefix: --min-compared}
    ogc:schema: |
      {"minimum": 1, "maximum": 100000}
outputs:
  release:
    type: Directory
    label: Release
    doc: Folder with GeoPackages, COGs, manifest.json, summary.json, report.html and SHA256SUMS.
    outputBinding: {glob: release}
  report:
    type: File
    label: Report
    doc: Report for people in German and English; loads nothing from elsewhere.
    outputBinding: {glob: report.html}
    ogc:schema: |
      {"contentMediaType": "text/html"}
  summary:
    type: File
    label: Summary
    doc: The numbers of the release for programs.
    outputBinding: {glob: summary.json}
    ogc:schema: |
      {"contentMediaType": "application/json"}
