"""Recruitment decides what counts as a fair held and a person hired (measures 4.1 to 4.4)."""
