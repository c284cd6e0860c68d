cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/"}
id: in-place
label: Names a file of a source without copying it
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
baseCommand: [python, -c]
arguments:
  - valueFrom: |-
      import json, pathlib, sys
      name, path = sys.argv[1:3]
      sources = json.loads(pathlib.Path(path).read_text())["sources"]
      (root,) = [source["root"] for source in sources if source["name"] == name]
      tile = {"class": "File", "location": f"file://{root}/tile.txt"}
      pathlib.Path("cwl.output.json").write_text(json.dumps({"tile": tile}))
    position: 0
inputs:
  name:
    type: string
    inputBinding: {position: 1}
  source_config:
    type: File
    inputBinding: {position: 2}
    ogc:schema: |
      {"x-internal": true}
outputs:
  tile: {type: File}
