"""What an image stands on: an image of somebody else, or a minimal Debian that is made here."""

from __future__ import annotations

from shipway.image.bases.get import Bases
from shipway.image.bases.value import Base, Image

__all__ = ["Base", "Bases", "Image"]
