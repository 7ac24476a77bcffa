"""The kernel: how a report becomes a fact and travels, with no word of any domain."""
