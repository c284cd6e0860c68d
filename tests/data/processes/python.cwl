cwlVersion: v1.2
class: CommandLineTool
id: python
label: Runs the Python code that it is given
doc: For tests of what follows when a program does this or that.
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
baseCommand: [python, -c]
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 64, ramMax: 128}
  ToolTimeLimit: {timelimit: 250}
permanentFailCodes: [65]
temporaryFailCodes: [75]
inputs:
  code:
    type: string
    inputBinding: {position: 1}
  file:
    type: File?
    inputBinding: {position: 2}
outputs:
  result:
    type: File
    outputBinding: {glob: result.txt}
