"""The plan file: what is counted, against which targets, by which parameters."""
