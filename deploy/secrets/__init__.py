"""Keys and certificates of an installation."""
