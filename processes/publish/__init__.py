"""Make a checked release."""
