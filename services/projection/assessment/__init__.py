"""What a number is worth: values, targets in force, pace and signal; pure."""
