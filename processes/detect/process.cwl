cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/", s: "https://schema.org/"}
id: detect
label: Detect tree crowns
doc: |
  Finds single tree crowns and raised planes (roofs, panels) in the normalised surface model (nDOM)
  of one batch. Tree tops are local maxima in a window that grows with height (Popescu and Wynne
  2004); tops without a saddle between them are one tree. Crowns are the cells that climb to a top,
  limited by height and distance (after Silva et al. 2016). The result of a batch is the part of
  the whole area's result whose tops lie in its core, whatever the batches.
s:softwareVersion: "0.1.0"
s:keywords: [nDOM, tree crowns, local maxima, watershed]
baseCommand: [python, -m, processes.detect]
hints:
  DockerRequirement: {dockerPull: cdi/stage:0.1.0}
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 1024, ramMax: 4096}
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
  min_height:
    type: double
    default: 2.5
    label: Lowest tree height
    doc: "Lower tops are no trees. Young trees are lost above it, shrubs and crops come in below it. Unit: m."
    inputBinding: {prefix: --min-height}
    ogc:schema: |
      {"minimum": 0.5, "maximum": 20}
  smoothing:
    type: double
    default: 0.5
    label: Smoothing
    doc: "Standard deviation of the smoothing before tops are searched. More joins branches, and small trees. Unit: m."
    inputBinding: {prefix: --smoothing}
    ogc:schema: |
      {"minimum": 0, "maximum": 2}
  window_base:
    type: double
    default: 3.09632
    label: Expected crown width at height 0
    doc: "Diameter of the search window is base + slope * height². The defaults are those for deciduous trees of Popescu and Wynne 2004. Unit: m."
    inputBinding: {prefix: --window-base}
    ogc:schema: |
      {"minimum": 0.5, "maximum": 10}
  window_slope:
    type: double
    default: 0.00895
    label: Growth of the expected crown width
    doc: Growth of the search window with the squared height, 1/metre.
    inputBinding: {prefix: --window-slope}
    ogc:schema: |
      {"minimum": 0, "maximum": 0.1}
  max_window:
    type: double
    default: 8
    label: Largest search window
    doc: "Diameter that the search window does not exceed. Unit: m."
    inputBinding: {prefix: --max-window}
    ogc:schema: |
      {"minimum": 1, "maximum": 20}
  merge_distance:
    type: double
    default: 3
    label: Distance of tops in one crown
    doc: "Of two tops nearer than this the lower one belongs to the higher one. Unit: m."
    inputBinding: {prefix: --merge-distance}
    ogc:schema: |
      {"minimum": 0, "maximum": 15}
  saddle_distance:
    type: double
    default: 5
    label: Distance of tops that need a saddle
    doc: "Of two tops nearer than this the lower one belongs to the higher one unless the surface sinks between them. Unit: m."
    inputBinding: {prefix: --saddle-distance}
    ogc:schema: |
      {"minimum": 0, "maximum": 15}
  saddle_depth:
    type: double
    default: 0.1
    label: Depth of a saddle
    doc: How far the surface must sink on the straight way between two tops, share of the lower one's height, no unit.
    inputBinding: {prefix: --saddle-depth}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  max_crown_diameter:
    type: double
    default: 18
    label: Largest crown
    doc: "Twice the largest distance between a top and its crown's cells. Unit: m."
    inputBinding: {prefix: --max-crown-diameter}
    ogc:schema: |
      {"minimum": 4, "maximum": 60}
  min_crown_diameter:
    type: double
    default: 1.5
    label: Smallest crown
    doc: "Diameter of a circle of the crown's area; smaller crowns are dropped. Unit: m."
    inputBinding: {prefix: --min-crown-diameter}
    ogc:schema: |
      {"minimum": 0, "maximum": 10}
  exclusion:
    type: double
    default: 0.3
    label: Lowest part of a crown
    doc: Cells lower than this share of the tree's height do not belong to its crown, no unit.
    inputBinding: {prefix: --exclusion}
    ogc:schema: |
      {"minimum": 0.05, "maximum": 0.95}
  roof_window:
    type: double
    default: 3
    label: Window of the plane test
    doc: "Side of the square in which a plane is fitted to the surface. Narrower roofs are not recognised. Unit: m."
    inputBinding: {prefix: --roof-window}
    ogc:schema: |
      {"minimum": 1, "maximum": 10}
  roof_roughness:
    type: double
    default: 0.15
    label: Roughness of roofs
    doc: "Largest root mean square distance between surface and plane. Unit: m."
    inputBinding: {prefix: --roof-roughness}
    ogc:schema: |
      {"minimum": 0, "maximum": 2}
  max_flatness:
    type: double
    default: 0.6
    label: Largest planar share of a crown
    doc: Crowns of which more than this share is planar are no trees, no unit; 1 keeps all.
    inputBinding: {prefix: --max-flatness}
    ogc:schema: |
      {"minimum": 0, "maximum": 1}
  min_structure_height:
    type: double
    default: 2.5
    label: Lowest structure
    doc: "Lower planes are no structures. Tall crops such as maize stay below it. Unit: m."
    inputBinding: {prefix: --min-structure-height}
    ogc:schema: |
      {"minimum": 0.5, "maximum": 20}
  min_structure_area:
    type: double
    default: 20
    label: Smallest structure
    doc: "Smaller planes are no structures. Structures are cut along 20 m lines of the CRS. Unit: m2."
    inputBinding: {prefix: --min-structure-area}
    ogc:schema: |
      {"minimum": 0, "maximum": 1000}
outputs:
  crowns:
    type: File
    label: Crowns and structures
    doc: GeoPackage with the layers crowns (polygon, height, diameter, score, flatness) and structures.
    outputBinding: {glob: "crowns-$(inputs.batch.id).gpkg"}
    ogc:schema: |
      {"contentMediaType": "application/geopackage+sqlite3"}
  surface:
    type: File
    label: Surface model
    doc: The nDOM of the core as it came, as Cloud Optimized GeoTIFF, metres.
    outputBinding: {glob: "ndom-$(inputs.batch.id).tif"}
    ogc:schema: |
      {"contentMediaType": "image/tiff; application=geotiff; profile=cloud-optimized"}
