"""Turn raw images into what later steps need."""
