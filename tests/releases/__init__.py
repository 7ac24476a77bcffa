"""What each release left behind, as it was taken from an installation of it: databases, topics, numbers, promises."""
