"""Backup, reconciliation and the operator's tools."""
