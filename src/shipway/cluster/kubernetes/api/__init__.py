"""The Kubernetes API over HTTP: raw JSON, credentials as kubectl has them."""
