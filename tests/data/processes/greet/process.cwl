cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/", s: "https://schema.org/"}
id: greet
label: Greet somebody
doc: Writes a greeting. The smallest process there is.
s:softwareVersion: "1.0.0"
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
baseCommand: [python, -c, "import sys; print(f'Hello, {sys.argv[1]}!')"]
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 64, ramMax: 128}
  ToolTimeLimit: {timelimit: 30}
  NetworkAccess: {networkAccess: false}
stdout: greeting.txt
inputs:
  name:
    type: string
    label: Name
    doc: Whom to greet.
    inputBinding: {}
    ogc:schema: |
      {"minLength": 1, "maxLength": 80, "example": "World"}
outputs:
  greeting:
    type: stdout
    label: Greeting
    ogc:schema: |
      {"contentMediaType": "text/plain"}
