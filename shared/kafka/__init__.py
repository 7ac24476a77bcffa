"""Kafka clients, reading a topic whole, and repairs of the client library."""
