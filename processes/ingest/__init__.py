"""Fetch what a run needs: tiles, orthophotos and Sentinel-2 items."""
