"""Rules and pure functions: no broker, no database."""
