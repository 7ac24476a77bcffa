"""Competition decides which certificates, contests, awards, titles and honours count (measures 3.1 to 3.4, 5.3)."""
