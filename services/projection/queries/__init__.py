"""The queries: one module each, with its response model, its SQL and its route."""
