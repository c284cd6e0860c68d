cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/", s: "https://schema.org/"}
id: assess
label: Assess inventory objects
doc: |
  Judges each object of the inventory from the surface model, the orthophoto and Sentinel-2:
  confirmed, rejected or uncertain, with reason codes, values, thresholds, confidence and the date of
  every input. Sources of one flight count once; rejecting and confirming need two independent ones.
  Lists every tree with its object, and candidates that the inventory lacks.
  docs/verdicts.md states the rules, the thresholds and where they come from.
s:softwareVersion: "0.1.0"
s:keywords: [meadow orchard, verdict, evidence, tree]
baseCommand: [python, -m, processes.assess]
arguments: ["--batches=."]
hints:
  DockerRequirement: {dockerPull: "cdi/stage:0.1.0"}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 1024, ramMax: 8192}
  ToolTimeLimit: {timelimit: 7200}
  NetworkAccess: {networkAccess: false}
  InitialWorkDirRequirement:
    listing:
      - $(inputs.crowns)
      - $(inputs.surface)
      - $(inputs.sentinel2)
      - $(inputs.image)
      - $(inputs.prepared)
permanentFailCodes: [65]
temporaryFailCodes: [75]
inputs:
  inventory:
    type: File
    label: Inventory objects
    doc: GeoPackage with layer objects, as the stage ingest writes it.
    inputBinding: {prefix: --inventory}
    ogc:schema: |
      {"contentMediaType": "application/geopackage+sqlite3"}
  area:
    type: File
    label: Area of the run
    doc: GeoJSON polygon in the CRS of the run; trees and candidates outside are left out.
    inputBinding: {prefix: --area}
    ogc:schema: |
      {"contentMediaType": "application/geo+json"}
  items:
    type: File
    label: STAC items
    doc: All inputs of the run with their acquisition; dates and independence come from here.
    inputBinding: {prefix: --items}
    ogc:schema: |
      {"contentMediaType": "application/geo+json"}
  period:
    type: string
    label: Period
    doc: ISO 8601 interval of the run, such as 2023-01-01/2023-12-31.
    inputBinding: {prefix: --period}
    ogc:schema: |
      {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
  crowns:
    type: File[]
    label: Crowns of all batches
    doc: GeoPackages crowns-<batch>.gpkg with the layers crowns and structures.
    ogc:schema: |
      {"minItems": 1, "items": {"contentMediaType": "application/geopackage+sqlite3"}}
  surface:
    type: File[]
    default: []
    label: Surface models of all batches
    doc: GeoTIFFs ndom-<batch>.tif; where they have no data nothing is counted.
    ogc:schema: |
      {"items": {"contentMediaType": "image/tiff; application=geotiff"}}
  sentinel2:
    type: File[]
    default: []
    label: Sentinel-2 metrics of all batches
    doc: GeoTIFFs sentinel2-<batch>.tif of those batches that have Sentinel-2.
    ogc:schema: |
      {"items": {"contentMediaType": "image/tiff; application=geotiff"}}
  image:
    type: File[]
    default: []
    label: Orthophotos of all batches
    doc: GeoTIFFs image-<batch>.tif of those batches that have an orthophoto at an object.
    ogc:schema: |
      {"items": {"contentMediaType": "image/tiff; application=geotiff"}}
  prepared:
    type: File[]
    default: []
    label: Notes of all batches
    doc: JSON files prepared-<batch>.json with the registration of surface and image, dates used.
    ogc:schema: |
      {"items": {"contentMediaType": "application/json"}}
  decisions:
    type: File?
    label: People's decisions
    doc: CSV, GeoPackage or GeoJSON with object_id, verdict_human, decided; shown beside the verdict, never changing it.
    inputBinding: {prefix: --decisions}
    ogc:schema: |
      {"contentMediaType": "text/csv"}
  inventory_date:
    type: string?
    label: Date of the inventory
    doc: Survey date (year, year-month or year-month-day) of objects that have none of their own. Without a date nothing is known to be newer, so nothing is rejected.
    inputBinding: {prefix: --inventory-date}
    ogc:schema: |
      {"pattern": "^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$"}
  min_trees:
    type: int
    default: 10
    label: Trees of an orchard
    doc: "An object with at least so many trees may be confirmed. Unit: trees."
    inputBinding: {prefix: --min-trees}
    ogc:schema: |
      {"minimum": 1, "maximum": 1000}
  max_trees_rejected:
    type: int
    default: 2
    label: Trees that speak against
    doc: "The surface model speaks against an orchard when it shows at most so many trees. Unit: trees."
    inputBinding: {prefix: --max-trees-rejected}
    ogc:schema: |
      {"minimum": 0, "maximum": 100}
  min_density:
    type: double
    default: 25.0
    label: Lowest stand density
    doc: "An orchard has at least so many trees per hectare (17 m spacing is 35). Unit: trees/ha."
    inputBinding: {prefix: --min-density}
    ogc:schema: |
      {"minimum": 0, "maximum": 1000}
  max_density:
    type: double
    default: 150.0
    label: Highest stand density
    doc: "An orchard has at most so many trees per hectare (8 m spacing is 156). Unit: trees/ha."
    inputBinding: {prefix: --max-density}
    ogc:schema: |
      {"minimum": 1, "maximum": 2000}
  min_cover:
    type: double
    default: 0.08
    label: Lowest crown cover
    doc: "Crowns cover at least this share of an orchard. Unit: share of the area."
    inputBinding: {prefix: --min-cover}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  max_cover:
    type: double
    default: 0.7
    label: Highest crown cover
    doc: "Crowns cover at most this share of an orchard; more is wood or succession. Unit: share of the area."
    inputBinding: {prefix: --max-cover}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  min_area:
    type: double
    default: 1500.0
    label: Smallest object
    doc: "Smaller objects stay uncertain. Unit: m2."
    inputBinding: {prefix: --min-area}
    ogc:schema: |
      {"minimum": 0, "maximum": 100000}
  max_elongation:
    type: double
    default: 5.0
    label: Longest shape
    doc: "Objects longer than this, length over width of the smallest rectangle around them, are hedges or rows. Unit: ratio."
    inputBinding: {prefix: --max-elongation}
    ogc:schema: |
      {"minimum": 1, "maximum": 100}
  min_width:
    type: double
    default: 12.0
    label: Narrowest shape
    doc: "Narrower objects are hedges or rows. Unit: m."
    inputBinding: {prefix: --min-width}
    ogc:schema: |
      {"minimum": 0, "maximum": 100}
  min_row_width:
    type: double
    default: 6.0
    label: Width of one row
    doc: "Trees that all stand in a narrower strip are one row. Unit: m."
    inputBinding: {prefix: --min-row-width}
    ogc:schema: |
      {"minimum": 0, "maximum": 50}
  wood_height:
    type: double
    default: 15.0
    label: Height of wood
    doc: "With too high a cover, a greater median height means wood. Unit: m."
    inputBinding: {prefix: --wood-height}
    ogc:schema: |
      {"minimum": 2, "maximum": 60}
  plantation_height:
    type: double
    default: 4.0
    label: Height of plantations
    doc: "With too high a density, a lower 90th percentile of height means a plantation. Unit: m."
    inputBinding: {prefix: --plantation-height}
    ogc:schema: |
      {"minimum": 1, "maximum": 20}
  plantation_density:
    type: double
    default: 400.0
    label: Density of plantations
    doc: "From this density on it is a plantation, whatever its height. Unit: trees/ha."
    inputBinding: {prefix: --plantation-density}
    ogc:schema: |
      {"minimum": 50, "maximum": 5000}
  max_structure_share:
    type: double
    default: 0.1
    label: Built share
    doc: "Buildings and other raised flat areas on this share of an object speak against an orchard. Unit: share."
    inputBinding: {prefix: --max-structure-share}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  nearby_distance:
    type: double
    default: 30.0
    label: Search around an object
    doc: "An orchard within this distance of a rejected object means that its geometry is wrong. Unit: m."
    inputBinding: {prefix: --nearby-distance}
    ogc:schema: |
      {"minimum": 0, "maximum": 200}
  min_height:
    type: double
    default: 2.5
    label: Lowest tree height
    doc: "The one used in the detection of crowns; growth from 1 m up to it may be young trees. Unit: m."
    inputBinding: {prefix: --min-height}
    ogc:schema: |
      {"minimum": 1, "maximum": 20}
  min_low_growth:
    type: double
    default: 0.02
    label: Share of low growth
    doc: "With this share of low growth and no other use, trees may be too young to be detected. Unit: share."
    inputBinding: {prefix: --min-low-growth}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  min_data_share:
    type: double
    default: 0.9
    label: Share covered by data
    doc: "Surface model or image must cover this share of an object to be judged by. Unit: share."
    inputBinding: {prefix: --min-data-share}
    ogc:schema: |
      {"minimum": 0.01, "maximum": 1}
  max_surface_age:
    type: double
    default: 4.0
    label: Oldest surface model
    doc: "An older surface model, counted back from the end of the period, gives no confirmation. Unit: years."
    inputBinding: {prefix: --max-surface-age}
    ogc:schema: |
      {"minimum": 0, "maximum": 50}
  max_shift:
    type: double
    default: 1.5
    label: Noted shift
    doc: "From this shift of the surface model against the image on, it is corrected and named among the reasons. Unit: m."
    inputBinding: {prefix: --max-shift}
    ogc:schema: |
      {"minimum": 0, "maximum": 20}
  min_crown_ndvi:
    type: double
    default: 0.1
    label: Lowest NDVI of a crown
    doc: "In a leaf-on image, crowns below are no trees. Raw grey levels, not reflectance. Unit: raw NDVI."
    inputBinding: {prefix: --min-crown-ndvi}
    ogc:schema: |
      {"minimum": -1, "maximum": 1}
  max_flatness:
    type: double
    default: 0.95
    label: Flattest crown
    doc: "Crowns without NDVI that are flatter are no trees; 1 is a planar roof. Unit: 0-1."
    inputBinding: {prefix: --max-flatness}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  min_image_ndvi:
    type: double
    default: 0.1
    label: Lowest NDVI of green ground
    doc: "Image cells from this NDVI on are green ground. Raw grey levels, not reflectance. Unit: raw NDVI."
    inputBinding: {prefix: --min-image-ndvi}
    ogc:schema: |
      {"minimum": -1, "maximum": 1}
  min_green_share:
    type: double
    default: 0.6
    label: Green share of grassland
    doc: "Grassland when this share of the ground between crowns is green in the image. Unit: share."
    inputBinding: {prefix: --min-green-share}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  max_open_share:
    type: double
    default: 0.6
    label: Open share against
    doc: "The image speaks against an orchard when this share of an object is not green. Unit: share."
    inputBinding: {prefix: --max-open-share}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  min_roughness:
    type: double
    default: 15.0
    label: Contrast of crowns
    doc: "Standard deviation of the brightness within 2.5 m that crowns with their shadows have. Unit: grey levels."
    inputBinding: {prefix: --min-roughness}
    ogc:schema: |
      {"minimum": 0, "maximum": 255}
  max_rough_share:
    type: double
    default: 0.02
    label: Share without trees
    doc: "The image shows no trees when less than this share of an object has the contrast of crowns. Unit: share."
    inputBinding: {prefix: --max-rough-share}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  leaf_on_from:
    type: int
    default: 5
    label: First month with leaves
    doc: "Images before this month do not tell trees from other things by their NDVI. Unit: month."
    inputBinding: {prefix: --leaf-on-from}
    ogc:schema: |
      {"minimum": 1, "maximum": 12}
  leaf_on_to:
    type: int
    default: 10
    label: Last month with leaves
    doc: "Images after this month do not tell trees from other things by their NDVI. Unit: month."
    inputBinding: {prefix: --leaf-on-to}
    ogc:schema: |
      {"minimum": 1, "maximum": 12}
  min_clear_dates:
    type: int
    default: 3
    label: Clear dates needed
    doc: "With fewer clear dates in the period, Sentinel-2 tells nothing. Unit: dates."
    inputBinding: {prefix: --min-clear-dates}
    ogc:schema: |
      {"minimum": 1, "maximum": 100}
  min_pixels:
    type: double
    default: 4.0
    label: Pixels needed
    doc: "With fewer pixels of 10 m inside an object, Sentinel-2 tells nothing. Unit: pixels."
    inputBinding: {prefix: --min-pixels}
    ogc:schema: |
      {"minimum": 0.1, "maximum": 1000}
  min_grass_ndvi:
    type: double
    default: 0.45
    label: Lowest NDVI of grassland
    doc: "Ground with a yearly median NDVI from here on and no bare date is grassland. Unit: NDVI."
    inputBinding: {prefix: --min-grass-ndvi}
    ogc:schema: |
      {"minimum": -1, "maximum": 1}
  max_grass_difference:
    type: double
    default: 0.15
    label: Largest difference to grassland
    doc: "So is ground at most so far below the grassland within 1 km (drought). Unit: NDVI."
    inputBinding: {prefix: --max-grass-difference}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  min_bare_dates:
    type: int
    default: 1
    label: Bare dates of arable land
    doc: "Dates with bare soil in the period that mean arable land. Unit: dates."
    inputBinding: {prefix: --min-bare-dates}
    ogc:schema: |
      {"minimum": 1, "maximum": 100}
  building_ndvi:
    type: double
    default: 0.5
    label: Highest NDVI of sealed ground
    doc: "Sealed ground has a 90th percentile of NDVI below. Unit: NDVI."
    inputBinding: {prefix: --building-ndvi}
    ogc:schema: |
      {"minimum": -1, "maximum": 1}
  building_range:
    type: double
    default: 0.2
    label: Yearly range of sealed ground
    doc: "Sealed ground has a difference of 90th and 10th percentile of NDVI below. Unit: NDVI."
    inputBinding: {prefix: --building-range}
    ogc:schema: |
      {"minimum": 0, "maximum": 2}
  candidate_min_area:
    type: double
    default: 2500.0
    label: Smallest candidate
    doc: "Smaller groups of trees are no candidates; 2,500 m2 is the area that the state's law protects. Unit: m2."
    inputBinding: {prefix: --candidate-min-area}
    ogc:schema: |
      {"minimum": 100, "maximum": 1000000}
  candidate_link:
    type: double
    default: 20.0
    label: Distance of linked trees
    doc: "Trees up to so far apart belong to one candidate. Unit: m."
    inputBinding: {prefix: --candidate-link}
    ogc:schema: |
      {"minimum": 3, "maximum": 50}
  candidate_house_distance:
    type: double
    default: 15.0
    label: Distance to buildings
    doc: "Ground nearer to a raised flat area of at least 60 m2 is garden and no part of a candidate. Unit: m."
    inputBinding: {prefix: --candidate-house-distance}
    ogc:schema: |
      {"minimum": 0, "maximum": 100}
  candidate_max_height:
    type: double
    default: 18.0
    label: Tallest candidate tree
    doc: "Taller trees belong to no candidate. Unit: m."
    inputBinding: {prefix: --candidate-max-height}
    ogc:schema: |
      {"minimum": 3, "maximum": 60}
outputs:
  objects:
    type: File
    label: Assessed objects
    doc: The inventory's columns with verdict, reasons and values, layer objects.
    outputBinding: {glob: assessed-objects.gpkg}
    ogc:schema: |
      {"contentMediaType": "application/geopackage+sqlite3"}
  trees:
    type: File
    label: Trees
    doc: Every crown of the area with its object, NDVI and whether it is a tree, layer trees.
    outputBinding: {glob: assessed-trees.gpkg}
    ogc:schema: |
      {"contentMediaType": "application/geopackage+sqlite3"}
  candidates:
    type: File
    label: Candidates
    doc: Possible orchards that the inventory lacks, layer candidates.
    outputBinding: {glob: assessed-candidates.gpkg}
    ogc:schema: |
      {"contentMediaType": "application/geopackage+sqlite3"}
