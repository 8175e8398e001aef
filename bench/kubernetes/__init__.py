"""What a Kubernetes cluster costs the hub."""
