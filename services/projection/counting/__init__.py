"""The write side: facts of all logs counted into the ledger."""
