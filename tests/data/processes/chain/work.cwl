cwlVersion: v1.2
class: CommandLineTool
id: work
label: Squares the number of a part, after doing what it is told to do
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
baseCommand: [python, -c]
arguments:
  - valueFrom: |-
      import pathlib, sys
      code, part, path = sys.argv[1:4]
      exec(code)
      pathlib.Path(f"square-{part}.txt").write_text(str(int(pathlib.Path(path).read_text()) ** 2))
    position: 0
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 64, ramMax: 256}
  ToolTimeLimit: {timelimit: 250}
permanentFailCodes: [65]
temporaryFailCodes: [75]
inputs:
  code:
    type: string
    inputBinding: {position: 1}
  part:
    type:
      type: record
      name: part
      fields:
        id: {type: string, inputBinding: {position: 1}}
        file: {type: File, inputBinding: {position: 2}}
    inputBinding: {position: 2}
outputs:
  square:
    type: File
    outputBinding: {glob: square-$(inputs.part.id).txt}
