"""Enrollment decides which majors, pupils, apprentices, trainings and bases count (measures 1.1 to 1.4, 2.3, 2.4)."""
