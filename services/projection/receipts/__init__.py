"""What became of each report, kept from the receipts topics."""
