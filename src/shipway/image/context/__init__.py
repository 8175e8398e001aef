"""The files that get into an image from a folder, and what must not: ignored, never, refused."""

from shipway.image.context.chosen import Context, LeftOut, context, entries

__all__ = ["Context", "LeftOut", "context", "entries"]
