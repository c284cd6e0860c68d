"""The parts of the test bench `landscape`: a farming landscape that never existed.

Nothing here is imported by a stage, and nothing here imports one: what the detector and the rules
know must not leak into the data that they are tried on.
"""
