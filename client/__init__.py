"""The district's side: a reference client that reports to the city over Kafka, and a demo feed of made-up districts."""
