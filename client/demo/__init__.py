"""The demo feed: made-up districts that report to the city."""
