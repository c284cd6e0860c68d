cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/", s: "https://schema.org/"}
id: echo
label: Echo
doc: >-
  Gives back what it was given, an output for each kind of input. Validators execute it; it is
  published by the test configuration only.
s:softwareVersion: "1.0.0"
s:keywords: [echo, test]
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
baseCommand: [python]
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 64, ramMax: 128}
  ToolTimeLimit: {timelimit: 60}
  NetworkAccess: {networkAccess: false}
permanentFailCodes: [65]
temporaryFailCodes: [75]
inputs:
  stringInput:
    type: string
    label: Text
    doc: The only input that is required.
    inputBinding: {position: 1, prefix: --string}
    ogc:schema: |
      {"minLength": 1, "maxLength": 1000, "example": "Value1"}
  pause:
    type: int
    default: 0
    label: Pause
    doc: Seconds to sleep before the answer.
    inputBinding: {position: 1, prefix: --pause}
    ogc:schema: |
      {"minimum": 0, "maximum": 10}
  doubleInput:
    type: double?
    label: Number
    doc: A number above 0 and at most 10.
    inputBinding: {position: 1, prefix: --double}
    ogc:schema: |
      {"minimum": 0, "exclusiveMinimum": true, "maximum": 10, "example": 3.5}
  choiceInput:
    type:
      - "null"
      - {type: enum, name: choice, symbols: [small, medium, large]}
    label: Choice
    doc: One of three words.
    inputBinding: {position: 1, prefix: --choice}
  dateInput:
    type: string?
    label: Moment
    doc: Date and time with zone, as RFC 3339 writes them.
    inputBinding: {position: 1, prefix: --date}
    ogc:schema: |
      {"format": "date-time", "example": "2023-05-01T12:00:00Z"}
  codeInput:
    type: string?
    label: Code
    doc: Two capital letters, a hyphen and four digits, such as NW-0512.
    inputBinding: {position: 1, prefix: --code}
    ogc:schema: |
      {"pattern": "^[A-Z]{2}-[0-9]{4}$"}
  arrayInput:
    type:
      - "null"
      - {type: array, items: int}
    label: Integers
    doc: Two to ten integers.
    inputBinding: {position: 1, prefix: --array, itemSeparator: ","}
    ogc:schema: |
      {"minItems": 2, "maxItems": 10, "example": [1, 2, 3, 4, 5, 6]}
  boundingBoxInput:
    type:
      - "null"
      - type: record
        name: bounding_box
        fields:
          bbox: {type: "double[]", inputBinding: {prefix: --bbox, itemSeparator: ","}}
          crs: {type: "string?", inputBinding: {prefix: --crs}}
    label: Bounding box
    doc: Rectangle; longitude and latitude unless crs says otherwise.
    inputBinding: {position: 2}
    ogc:schema: |
      {"format": "ogc-bbox"}
  objectInput:
    type:
      - "null"
      - type: record
        name: object
        fields:
          property1: {type: string, inputBinding: {prefix: --property1}}
          property2: {type: "double?", inputBinding: {prefix: --property2}}
    label: Object
    doc: An object with a text and, optionally, a number.
    inputBinding: {position: 3}
    ogc:schema: |
      {"example": {"property1": "value1", "property2": 2.5}}
  documentInput:
    type: File?
    label: Document
    doc: A text with a media type of its own, here XML.
    inputBinding: {position: 1, prefix: --document}
    ogc:schema: |
      {"type": "string", "contentMediaType": "text/xml"}
  imageInput:
    type: File?
    label: Image
    doc: TIFF or PNG, in base64 or by reference.
    inputBinding: {position: 1, prefix: --image}
    ogc:schema: |
      {"oneOf": [
        {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
        {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/tiff; application=geotiff"}]}
  geometryInput:
    type: File?
    label: Geometry
    doc: A GeoJSON geometry or a Feature.
    inputBinding: {position: 1, prefix: --geometry}
    ogc:schema: |
      {"contentMediaType": "application/geo+json", "oneOf": [
        {"type": "object", "format": "geojson-geometry", "contentMediaType": "application/geo+json"},
        {"type": "object", "format": "geojson-feature", "contentMediaType": "application/geo+json"}]}
  featuresInput:
    type: File?
    label: Features
    doc: A GeoJSON FeatureCollection.
    inputBinding: {position: 1, prefix: --features}
    ogc:schema: |
      {"type": "object", "format": "geojson-feature-collection", "contentMediaType": "application/geo+json"}
  documentsInput:
    type:
      - "null"
      - {type: array, items: File}
    label: Several documents
    doc: At most three texts.
    inputBinding: {position: 4, prefix: --documents}
    ogc:schema: |
      {"maxItems": 3, "items": {"type": "string", "contentMediaType": "text/plain"}}
  program:
    type: File
    default: {class: File, location: echo.py}
    inputBinding: {position: 0}
    ogc:schema: |
      {"x-internal": true}
outputs:
  stringOutput: {type: string, label: Text}
  doubleOutput: {type: "double?", label: Number}
  choiceOutput: {type: "string?", label: Choice}
  dateOutput:
    type: string?
    label: Moment
    ogc:schema: |
      {"format": "date-time"}
  codeOutput: {type: "string?", label: Code}
  arrayOutput: {type: "int[]?", label: Integers}
  boundingBoxOutput:
    type:
      - "null"
      - type: record
        name: bounding_box_output
        fields:
          bbox: {type: "double[]"}
          crs: {type: "string?"}
    label: Bounding box
    ogc:schema: |
      {"format": "ogc-bbox"}
  objectOutput:
    type:
      - "null"
      - type: record
        name: object_output
        fields: {property1: {type: string}, property2: {type: "double?"}}
    label: Object
  documentOutput:
    type: File?
    label: Document
    ogc:schema: |
      {"type": "string", "contentMediaType": "text/xml"}
  imageOutput:
    type: File?
    label: Image
    ogc:schema: |
      {"oneOf": [
        {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
        {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/tiff; application=geotiff"}]}
  geometryOutput:
    type: File?
    label: Geometry
    ogc:schema: |
      {"type": "object", "contentMediaType": "application/geo+json"}
  featuresOutput:
    type: File?
    label: Features
    ogc:schema: |
      {"type": "object", "format": "geojson-feature-collection", "contentMediaType": "application/geo+json"}
  documentsOutput: {type: "File[]?", label: Several documents}
