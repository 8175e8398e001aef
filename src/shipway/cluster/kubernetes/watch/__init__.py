"""One watch cache for each kind, and what Pods and Jobs mean in our words."""
