"""The district's side: one program that reports to the city over HTTP or Kafka, or audits it; and a demo feed."""
