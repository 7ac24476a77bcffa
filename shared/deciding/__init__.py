"""From a report to facts and a receipt: the rules every type shares, and the unit of work."""
