"""Which models and versions there are to load: the replica's own one, or those of a folder of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shipway.runtime.errors import ModelRefused
from shipway.runtime.server.settings import Settings


@dataclass(frozen=True, slots=True)
class Place:
    """A version of a model and where its files lie; no folder: the predictor has all that it needs."""

    name: str
    version: str
    folder: Path | None

    @property
    def size(self) -> int:
        """Bytes of its files: the least that it will take once it is loaded."""
        if self.folder is None or not self.folder.is_dir():
            return 0
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


Catalog = Mapping[str, tuple[Place, ...]]  # versions of each model, the newest first


def catalog(settings: Settings) -> Catalog:
    """What the settings name, as it is on disk now. Raises ModelRefused when ``models_dir`` holds no model.

    A folder of models is laid out as NAME/VERSION/files, VERSION a number. Names come from the listing only: what a
    request says is looked up, and never becomes a path.
    """
    if settings.models_dir is None:
        return {settings.model: (Place(settings.model, settings.version, settings.model_dir),)}
    try:
        folders = sorted(one for one in settings.models_dir.iterdir() if one.is_dir() and not one.name.startswith("."))
        found = {folder.name: _versions(folder) for folder in folders}
    except OSError as error:
        raise ModelRefused(f"SHIPWAY_MODELS_DIR={settings.models_dir}: {error.strerror}") from error
    models = {name: versions for name, versions in found.items() if versions}
    if not models:
        raise ModelRefused(
            f"SHIPWAY_MODELS_DIR={settings.models_dir} holds no model: expected NAME/VERSION/files, like digits/1/"
        )
    return models


def _versions(folder: Path) -> tuple[Place, ...]:
    numbers = [one for one in folder.iterdir() if one.is_dir() and one.name.isascii() and one.name.isdigit()]
    newest_first = sorted(numbers, key=lambda one: int(one.name), reverse=True)
    return tuple(Place(folder.name, one.name, one) for one in newest_first)
