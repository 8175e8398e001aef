"""From a lock to layers: what uv chooses and installs, and the layers that it becomes."""
