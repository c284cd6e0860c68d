"""Find tree crowns in the surface model."""
