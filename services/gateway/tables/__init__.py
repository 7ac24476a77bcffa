"""Tables dropped in a browser: matched to the fields of a type and checked in memory, by the client's own code."""
