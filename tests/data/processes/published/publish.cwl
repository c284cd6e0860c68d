cwlVersion: v1.2
class: CommandLineTool
id: publish
label: Writes a release with the sum of the files beside it, adding a name to the previous names
baseCommand: [python, -c]
hints:
  DockerRequirement: {dockerPull: "cdi/test:1"}
requirements:
  InitialWorkDirRequirement: {listing: [$(inputs.squares)]}
arguments:
  - valueFrom: |-
      import pathlib, sys
      name, previous = (sys.argv[1:] + [""])[:2]
      names = set(pathlib.Path(previous, "names.txt").read_text().split()) if previous else set()
      total = sum(int(path.read_text()) for path in pathlib.Path().glob("square-*.txt"))
      pathlib.Path("release").mkdir()
      pathlib.Path("release/names.txt").write_text("\n".join(sorted(names | {name})))
      pathlib.Path("release/total.txt").write_text(str(total))
    position: 0
inputs:
  squares: {type: "File[]"}
  name:
    type: string
    inputBinding: {position: 1}
  previous:
    type: Directory?
    inputBinding: {position: 2}
outputs:
  release:
    type: Directory
    outputBinding: {glob: release}
