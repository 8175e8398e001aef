"""A Bundle becomes Kubernetes objects. Pure."""
