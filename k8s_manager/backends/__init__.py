"""Where steps run: each backend offers the same three verbs."""
