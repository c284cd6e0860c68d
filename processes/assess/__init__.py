"""Judge each inventory object and look for orchards that the inventory lacks."""
