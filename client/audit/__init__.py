"""What an auditor runs: a file that checks a log by itself, a witness of logs, and evidence of a closed month."""
