cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/", s: "https://schema.org/"}
id: survey
label: Survey
doc: Has an input of each kind that a form can ask for, and says what it was given.
s:softwareVersion: "1.0.0"
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
baseCommand: [python, -c, "import sys; print(*sys.argv[1:], sep='\\n')"]
requirements:
  ResourceRequirement: {coresMin: 0.1, ramMin: 64, ramMax: 128}
  ToolTimeLimit: {timelimit: 30}
stdout: said.txt
ogc:schema: |
  {"oneOf": [{"required": ["box"]}, {"required": ["area"]}]}
inputs:
  name:
    type: string
    label: Name
    doc: Who asks.
    inputBinding: {position: 1}
    ogc:schema: |
      {"minLength": 1, "maxLength": 40, "example": "Ada"}
  height:
    type: double
    default: 2.5
    label: Height
    doc: "Lower tops are no trees. Unit: m."
    inputBinding: {position: 2}
    ogc:schema: |
      {"minimum": 0.5, "maximum": 20}
  count:
    type: int?
    label: Count
    inputBinding: {position: 3}
    ogc:schema: |
      {"minimum": 1}
  careful:
    type: boolean?
    label: Careful
    inputBinding: {position: 4, prefix: --careful}
  season:
    type:
      - "null"
      - type: enum
        symbols: [spring, summer, autumn]
    label: Season
    inputBinding: {position: 5}
  months:
    type: int[]?
    label: Months
    inputBinding: {position: 6, itemSeparator: ","}
    ogc:schema: |
      {"maxItems": 3, "items": {"minimum": 1, "maximum": 12}}
  day:
    type: string?
    label: Day
    inputBinding: {position: 7}
    ogc:schema: |
      {"format": "date"}
  box:
    type:
      - "null"
      - type: record
        name: bounding_box
        fields:
          bbox: {type: "double[]", inputBinding: {itemSeparator: ","}}
          crs: {type: "string?", inputBinding: {}}
    label: Box
    inputBinding: {position: 8}
    ogc:schema: |
      {"format": "ogc-bbox"}
  area:
    type: File?
    label: Area
    inputBinding: {position: 9}
    ogc:schema: |
      {"type": "object", "format": "geojson-geometry", "contentMediaType": "application/geo+json"}
  table:
    type: File?
    label: Table
    inputBinding: {position: 10}
    ogc:schema: |
      {"contentMediaType": "text/csv"}
  picture:
    type: File?
    label: Picture
    inputBinding: {position: 11}
    ogc:schema: |
      {"contentMediaType": "image/png"}
  limits:
    type:
      - "null"
      - type: record
        name: limits
        fields:
          low: {type: int}
          high: {type: int}
    label: Limits
  folder:
    type: Directory?
    label: Folder
outputs:
  said:
    type: stdout
    label: What was said
    ogc:schema: |
      {"contentMediaType": "text/plain"}
