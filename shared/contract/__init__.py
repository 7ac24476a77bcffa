"""What may be said, and what is wrong with it: shapes, event types, rules, CloudEvents, the decoder."""
