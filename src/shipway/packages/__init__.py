"""Python packages: where a user's pip finds them, how uv is told, and which of them are Shipway's own body."""
