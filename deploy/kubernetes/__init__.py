"""Skillplan on Kubernetes: a city's values and the catalogue of services become one folder for `kubectl apply -k`."""
