"""What an auditor runs: one file that checks a log by itself."""
