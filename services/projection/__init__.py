"""Projection turns the facts of all services into the numbers of the plans, and answers for them."""
