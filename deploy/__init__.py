"""What runs Skillplan somewhere: on one machine, on three, in containers; its topics, secrets and operations."""
