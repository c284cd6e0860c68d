cwlVersion: v1.2
class: CommandLineTool
id: loud
label: Writes as many zero bytes to its log as it is told to
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
baseCommand: [sh, -c, "head -c \"$1\" /dev/zero && echo end && echo done > result.txt", loud]
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 64, ramMax: 64}
  ToolTimeLimit: {timelimit: 280}
inputs:
  bytes:
    type: long
    inputBinding: {position: 1}
outputs:
  result:
    type: File
    outputBinding: {glob: result.txt}
