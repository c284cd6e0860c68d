cwlVersion: v1.2
class: CommandLineTool
id: trivial
label: Writes down when it began and when it was done
doc: For timing what is around a step; `pause` (seconds) makes it stay.
hints: {DockerRequirement: {dockerPull: "cdi/stage:0.1.0"}}
baseCommand: [python3, -I, -S, -c]
requirements:
  ResourceRequirement: {coresMin: 0.05, ramMin: 64, ramMax: 64}
  ToolTimeLimit: {timelimit: 7200}
arguments:
  - valueFrom: |-
      import time
      begun = time.time()
      import sys
      time.sleep(float(sys.argv[2]))
      with open(sys.argv[1], "w") as stream:
          stream.write('{"begun": %.6f, "ended": %.6f}' % (begun, time.time()))
    position: 0
  - valueFrom: times.json
    position: 1
inputs:
  pause:
    type: double
    default: 0.0
    inputBinding: {position: 2}
  after: File?
  index: int?
outputs:
  times:
    type: File
    outputBinding: {glob: times.json}
