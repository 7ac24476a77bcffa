"""What the tests drive the system with: services, topics, traffic, browsers, fixtures."""
