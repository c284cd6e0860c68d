"""The chain of all stages (its CWL file only)."""
