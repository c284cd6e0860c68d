cwlVersion: v1.2
class: CommandLineTool
id: nap
label: Sleeps for some seconds
hints: {DockerRequirement: {dockerPull: "cdi/test:1"}}
requirements: {ResourceRequirement: {coresMin: 0.1, ramMin: 64}}
baseCommand: [python, -c, "import sys, time; time.sleep(int(sys.argv[1])); open('done.txt', 'w').write('rested')"]
inputs:
  seconds: {type: int, inputBinding: {position: 1}}
outputs:
  done: {type: File, outputBinding: {glob: done.txt}}
