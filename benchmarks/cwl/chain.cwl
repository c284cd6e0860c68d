cwlVersion: v1.2
class: Workflow
id: chain
label: Three trivial steps, one after the other
inputs: {}
outputs:
  times: {type: File, outputSource: third/times}
steps:
  first:
    run: trivial.cwl
    in: {}
    out: [times]
  second:
    run: trivial.cwl
    in: {after: first/times}
    out: [times]
  third:
    run: trivial.cwl
    in: {after: second/times}
    out: [times]
