"""Measures each hop of the road beside a floor of its own: `make bench`."""
