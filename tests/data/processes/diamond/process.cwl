cwlVersion: v1.2
class: Workflow
id: diamond
label: Two steps that do not need each other, and one that needs both
inputs:
  seconds: int
outputs:
  both: {type: File, outputSource: join/both}
steps:
  left:
    run: nap.cwl
    in: {seconds: seconds}
    out: [done]
  right:
    run: nap.cwl
    in: {seconds: seconds}
    out: [done]
  join:
    run: join.cwl
    in: {left: left/done, right: right/done}
    out: [both]
