"""What a cluster can do, and what we may do in it."""
