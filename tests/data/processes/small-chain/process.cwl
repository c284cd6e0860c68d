cwlVersion: v1.2
class: Workflow
id: small-chain
label: Adds up squares, one step for each number, in steps so small that many fit on a node
requirements:
  ScatterFeatureRequirement: {}
inputs:
  count: int
  code:
    type: string
    default: pass
outputs:
  total: {type: File, outputSource: join/total}
steps:
  split:
    run: split.cwl
    in: {count: count}
    out: [parts]
  work:
    run: work.cwl
    scatter: part
    in: {part: split/parts, code: code}
    out: [square]
  join:
    run: join.cwl
    in: {squares: work/square}
    out: [total]
