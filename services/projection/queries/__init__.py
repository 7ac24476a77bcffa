"""One module for each question that can be asked of the numbers: its queries, its fold, its routes."""
