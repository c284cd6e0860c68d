"""Judge each inventory object."""
