"""The commands of the program, a module each: what is typed, in what order things are done, what is printed."""
