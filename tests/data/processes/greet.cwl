cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ogc: "http://www.opengis.net/spec/ogcapi-processes-1/1.0/", s: "https://schema.org/"}
id: greet
label: Greet somebody
doc: Writes a greeting after a pause; small enough to test everything around it.
s:softwareVersion: "1.0.0"
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
baseCommand: [python, -c]
arguments:
  - position: 0
    valueFrom: |
      import json, pathlib, sys, time
      name, pause, times = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
      if name == "nobody":
          print(json.dumps({"title": "nobody to greet", "detail": "give a name"}), file=sys.stderr)
          sys.exit(65)
      time.sleep(pause)
      pathlib.Path("greeting.txt").write_text("Hello %s\n" % name * times, encoding="utf-8")
      pathlib.Path("greeting.json").write_text(json.dumps({"greeted": name, "times": times}))
requirements:
  ResourceRequirement: {coresMin: 1, ramMin: 128, ramMax: 256}
  ToolTimeLimit: {timelimit: 60}
permanentFailCodes: [65]
temporaryFailCodes: [75]
inputs:
  name:
    type: string
    label: Name
    inputBinding: {position: 1}
    ogc:schema: |
      {"minLength": 1, "maxLength": 40}
  pause:
    type: double
    default: 0
    label: Seconds to sleep
    inputBinding: {position: 2}
    ogc:schema: |
      {"minimum": 0, "maximum": 60}
  times:
    type: int
    default: 1
    label: How often
    inputBinding: {position: 3}
    ogc:schema: |
      {"minimum": 1, "maximum": 5}
outputs:
  greeting:
    type: File
    label: Greeting
    outputBinding: {glob: greeting.txt}
    ogc:schema: |
      {"contentMediaType": "text/plain"}
  record:
    type: File
    label: Record
    outputBinding: {glob: greeting.json}
    ogc:schema: |
      {"contentMediaType": "application/json"}
