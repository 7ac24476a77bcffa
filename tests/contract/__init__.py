"""What others rely on: the schemas, the samples, the answers."""
