"""Images beside buildah's: cold, after a change of code, in size, and with torch in memory and over the wire."""
