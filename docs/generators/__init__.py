"""Writes the pages and schemas that follow from the code and the plan."""
