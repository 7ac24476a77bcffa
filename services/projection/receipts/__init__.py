"""The receipt in force for each report, stored from the receipts topics."""
