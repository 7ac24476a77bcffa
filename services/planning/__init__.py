"""Planning decides which targets are in force, how they are split, and when a month's figures are closed."""
