"""What runs Skillplan somewhere: the local stack, topics, images."""
