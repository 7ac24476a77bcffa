"""Backup, reconciliation, erasure and the operator's tools."""
