"""A district's file as rows: CSV in any usual encoding, workbooks as a person sees them, and JSON lines."""
