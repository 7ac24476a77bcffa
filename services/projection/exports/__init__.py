"""Briefing, workbook and CSV."""
