"""Recruitment decides which fairs, hires, shared classes, demands and invitations count (measures 4.1 to 4.4)."""
