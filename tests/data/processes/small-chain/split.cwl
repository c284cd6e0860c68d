cwlVersion: v1.2
class: CommandLineTool
id: split
label: Makes as many parts as it is told to
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
baseCommand: [python, -c]
arguments:
  - valueFrom: |-
      import json, pathlib, sys
      count = int(sys.argv[1])
      for n in range(count):
          pathlib.Path(f"{n}.txt").write_text(str(n + 1))
      parts = [{"id": f"p{n}", "file": {"class": "File", "path": f"{n}.txt"}} for n in range(count)]
      pathlib.Path("cwl.output.json").write_text(json.dumps({"parts": parts}))
    position: 0
requirements:
  ResourceRequirement: {coresMin: 0.05, ramMin: 32}
inputs:
  count:
    type: int
    inputBinding: {position: 1}
outputs:
  parts:
    type:
      type: array
      items:
        type: record
        name: part
        fields:
          id: {type: string}
          file: {type: File}
