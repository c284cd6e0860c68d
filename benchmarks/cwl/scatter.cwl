cwlVersion: v1.2
class: Workflow
id: scatter
label: A trivial step for every index
requirements:
  ScatterFeatureRequirement: {}
inputs:
  indexes: "int[]"
outputs:
  times: {type: "File[]", outputSource: each/times}
steps:
  each:
    run: trivial.cwl
    scatter: index
    in: {index: indexes}
    out: [times]
