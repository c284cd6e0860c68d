cwlVersion: v1.2
class: CommandLineTool
id: join
label: Adds up the numbers in the files beside it
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
baseCommand: [python, -c]
requirements:
  ResourceRequirement: {coresMin: 0.05, ramMin: 32}
  InitialWorkDirRequirement: {listing: [$(inputs.squares)]}
arguments:
  - valueFrom: |-
      import pathlib
      total = sum(int(path.read_text()) for path in pathlib.Path().glob("square-*.txt"))
      pathlib.Path("total.txt").write_text(str(total))
    position: 0
inputs:
  squares: {type: "File[]"}
outputs:
  total:
    type: File
    outputBinding: {glob: total.txt}
