"""The event log in PostgreSQL: append, outbox relay, sealing of personal fields, migrations."""
