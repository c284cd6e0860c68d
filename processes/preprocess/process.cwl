cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/", s: "https://schema.org/"}
id: preprocess
label: Prepare images
doc: |
  Turns the raw images of one batch into what later steps need. Sentinel-2: reflectance, cells masked
  by the scene classification, clouds and shadows widened, NDVI, NDMI and BSI reduced to yearly
  metrics on a 10 m grid. Orthophoto: only where inventory objects lie. Registration: how far the
  surface model (nDOM) is displaced against the orthophoto.
s:softwareVersion: "0.1.0"
s:keywords: [Sentinel-2, NDVI, orthophoto, co-registration]
baseCommand: [python, -m, processes.preprocess]
hints:
  DockerRequirement: {dockerPull: cdi/stage:0.1.0}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 2048, ramMax: 4096}
  ToolTimeLimit: {timelimit: 1800}
  NetworkAccess: {networkAccess: false}
permanentFailCodes: [65]
temporaryFailCodes: [75]
inputs:
  batch:
    type:
      type: record
      name: batch
      fields:
        id: {type: string, inputBinding: {prefix: "--batch-id=", separate: false}}
        core: {type: "double[]", inputBinding: {prefix: "--core=", separate: false, itemSeparator: ","}}
        buffer: {type: double, inputBinding: {prefix: "--buffer=", separate: false}}
        crs: {type: string, inputBinding: {prefix: "--crs=", separate: false}}
        ndom: {type: {type: array, items: File, inputBinding: {prefix: --ndom}}, inputBinding: {}}
        dop: {type: {type: array, items: File, inputBinding: {prefix: --dop}}, inputBinding: {}}
        s2: {type: {type: array, items: File, inputBinding: {prefix: --s2}}, inputBinding: {}}
        items: {type: File, inputBinding: {prefix: --items}}
    inputBinding: {}
    label: Batch
    doc: A block of tiles with its files. core is xmin, ymin, xmax, ymax in crs; buffer in metres.
  objects:
    type: File
    label: Inventory objects
    doc: GeoPackage with the layer objects (object_id, polygon) in the run's CRS.
    inputBinding: {prefix: --objects}
    ogc:schema: |
      {"type": "string", "contentEncoding": "base64", "contentMediaType": "application/geopackage+sqlite3"}
  period:
    type: string
    label: Period
    doc: Sentinel-2 scenes of this time span count, an ISO 8601 interval such as 2023-01-01/2023-12-31.
    inputBinding: {prefix: --period}
    ogc:schema: |
      {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
  use_unclassified:
    type: boolean
    default: false
    label: Use unclassified cells
    doc: Whether cells that the scene classification leaves unclassified (SCL 7) count as clear.
    inputBinding: {prefix: --use-unclassified}
  cloud_radius:
    type: double
    default: 60
    label: Cloud radius
    doc: "Cells nearer than this to a cloud or cloud shadow are left out. Edges of clouds are thin and often not recognised. Unit: m."
    inputBinding: {prefix: --cloud-radius}
    ogc:schema: |
      {"minimum": 0, "maximum": 500}
  bare_ndvi:
    type: double
    default: 0.3
    label: NDVI of bare soil
    doc: A date counts as bare where the scene classification says bare soil and NDVI lies below this, no unit.
    inputBinding: {prefix: --bare-ndvi}
    ogc:schema: |
      {"minimum": -1, "maximum": 1}
  spring_months:
    type: int[]
    default: [3, 4, 5]
    label: Months of spring
    doc: Months of the spring mean of NDVI, 1 to 12.
    inputBinding: {prefix: --spring-months, itemSeparator: ","}
    ogc:schema: |
      {"minItems": 1, "maxItems": 12, "uniqueItems": true, "items": {"minimum": 1, "maximum": 12}}
  autumn_months:
    type: int[]
    default: [9, 10, 11]
    label: Months of autumn
    doc: Months of the autumn mean of NDVI, 1 to 12.
    inputBinding: {prefix: --autumn-months, itemSeparator: ","}
    ogc:schema: |
      {"minItems": 1, "maxItems": 12, "uniqueItems": true, "items": {"minimum": 1, "maximum": 12}}
  image_margin:
    type: double
    default: 20
    label: Margin of the image
    doc: "The orthophoto is kept within this distance of an object's bounding box. The check of the displacement needs 12. Unit: m."
    inputBinding: {prefix: --image-margin}
    ogc:schema: |
      {"minimum": 12, "maximum": 200}
  image_resolution:
    type: double
    default: 0.2
    label: Resolution of the image
    doc: "Finer orthophotos are reduced by a power of two up to this pixel size; 0 keeps them as they are. Decoding 10 cm instead of 20 cm costs twice the time and shows no more of a crown that is measured. Unit: m."
    inputBinding: {prefix: --image-resolution}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  max_shift:
    type: double
    default: 1
    label: Largest shift
    doc: "From this displacement between surface model and orthophoto on, the registration counts as shifted. Unit: m."
    inputBinding: {prefix: --max-shift}
    ogc:schema: |
      {"minimum": 0.1, "maximum": 5}
  min_shift_correlation:
    type: double
    default: 0.35
    label: Least correlation
    doc: A displacement whose multiple correlation between heights and colours lies below this is unreliable, 0 to 1.
    inputBinding: {prefix: --min-shift-correlation}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
outputs:
  sentinel2:
    type: File?
    label: Sentinel-2 metrics
    doc: GeoTIFF of the core with cells of 10 m, one band per metric. Absent without Sentinel-2 scenes.
    outputBinding: {glob: "sentinel2-$(inputs.batch.id).tif"}
    ogc:schema: |
      {"contentMediaType": "image/tiff; application=geotiff; profile=cloud-optimized"}
  image:
    type: File?
    label: Orthophoto around objects
    doc: Sparse GeoTIFF of the core; 0 means no image. Absent when no orthophoto touches an object.
    outputBinding: {glob: "image-$(inputs.batch.id).tif"}
    ogc:schema: |
      {"contentMediaType": "image/tiff; application=geotiff"}
  prepared:
    type: File
    label: What was prepared
    doc: Dates used and left out, objects with an image, displacement between surface model and orthophoto, what is missing.
    outputBinding: {glob: "prepared-$(inputs.batch.id).json"}
    ogc:schema: |
      {"contentMediaType": "application/json"}
