"""The processing stages: command-line programs on files, each described by one CWL file.

The name ``processes`` also exists on PyPI; `CDI_NRW` lets the manager recognise this package.
"""

CDI_NRW = "cdi-nrw"
