"""The table of faults: each done for real to a running installation, and what became of every report meanwhile."""
