"""What shows that Skillplan does what its issues say."""
