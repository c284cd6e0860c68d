cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/"}
id: release
label: Adds a name to the names of the previous release
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
baseCommand: [python, -c]
arguments:
  - valueFrom: |-
      import pathlib, sys, time
      name, pause, previous = (sys.argv[1:] + [""])[:3]
      names = set(pathlib.Path(previous, "names.txt").read_text().split()) if previous else set()
      time.sleep(float(pause))
      pathlib.Path("release").mkdir()
      pathlib.Path("release/names.txt").write_text("\n".join(sorted(names | {name})))
    position: 0
inputs:
  name:
    type: string
    inputBinding: {position: 1}
  pause:
    type: double
    default: 0
    inputBinding: {position: 2}
  dataset:
    type: string
    default: demo
  previous:
    type: Directory?
    inputBinding: {position: 3}
    ogc:schema: |
      {"x-internal": true}
outputs:
  release:
    type: Directory
    outputBinding: {glob: release}
