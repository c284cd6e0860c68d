cwlVersion: v1.2
class: CommandLineTool
id: join
label: Puts two files into one
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
requirements: {ResourceRequirement: {coresMin: 0.1, ramMin: 64}}
baseCommand: [cat]
inputs:
  left: {type: File, inputBinding: {position: 1}}
  right: {type: File, inputBinding: {position: 2}}
outputs:
  both: {type: stdout}
stdout: both.txt
