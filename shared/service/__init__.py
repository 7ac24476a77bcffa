"""A domain service put together: reports over HTTP and Kafka, the worker, recovery of its log."""
