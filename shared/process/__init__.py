"""One operating-system process: settings, command line, start and stop."""
