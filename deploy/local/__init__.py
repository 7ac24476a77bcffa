"""Runs the whole of Skillplan on one machine that has nothing but Python: real servers, every process."""
