"""The contract of reports, facts and receipts: shapes, event types, rules, CloudEvents, the decoder."""
