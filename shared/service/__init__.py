"""A domain service put together: its two doors, HTTP and Kafka, its worker and its recovery."""
