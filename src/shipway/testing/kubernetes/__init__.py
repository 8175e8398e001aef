"""An API server of Kubernetes that tests can fault, in process; what it says is held against recorded conversations."""
