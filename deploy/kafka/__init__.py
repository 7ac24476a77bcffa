"""Topics, users and rights on the broker."""
