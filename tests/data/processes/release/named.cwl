cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/"}
id: named-release
label: Makes a release and tells its name, so that it can be nested
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
baseCommand: [python, -c]
arguments:
  - valueFrom: |-
      import json, pathlib, sys
      pathlib.Path("release").mkdir()
      pathlib.Path("release/names.txt").write_text(sys.argv[1])
      release = {"class": "Directory", "path": "release"}
      pathlib.Path("cwl.output.json").write_text(json.dumps({"release": release, "told": sys.argv[1]}))
    position: 0
inputs:
  name:
    type: string
    inputBinding: {position: 1}
  dataset:
    type: string
    default: demo
outputs:
  release: {type: Directory}
  told: {type: string}
