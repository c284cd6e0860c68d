cwlVersion: v1.2
class: Workflow
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/"}
id: published
label: Adds up squares, one step for each number, and publishes the sum beside all names so far
requirements:
  ScatterFeatureRequirement: {}
inputs:
  count: int
  name: string
  code:
    type: string
    default: pass
  dataset:
    type: string
    default: demo
  previous:
    type: Directory?
    ogc:schema: |
      {"x-internal": true}
outputs:
  release: {type: Directory, outputSource: publish/release}
  squares: {type: "File[]", outputSource: work/square}
steps:
  split:
    run: ../chain/split.cwl
    in: {count: count}
    out: [parts]
  work:
    run: ../chain/work.cwl
    scatter: part
    in: {part: split/parts, code: code}
    out: [square]
  publish:
    run: publish.cwl
    in: {squares: work/square, name: name, previous: previous}
    out: [release]
