"""Server-side apply: what is checked before, written in order, and removed."""
