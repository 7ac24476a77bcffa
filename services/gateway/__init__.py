"""The gateway is the one address of all services: it routes by type and path, stores nothing and adds no right."""
