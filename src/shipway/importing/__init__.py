"""Hand-written Kubernetes objects become our kinds, with a list of what could not be carried over. Pure."""
