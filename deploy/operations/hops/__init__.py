"""The hops that `make reconcile` compares: what each takes over from the one before it."""
