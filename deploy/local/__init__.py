"""Runs the whole of Skillplan on one machine that has nothing but Python: a real broker, a real database, every process."""
