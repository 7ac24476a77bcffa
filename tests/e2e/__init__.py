"""Whole journeys through the processes that `make up` starts."""
