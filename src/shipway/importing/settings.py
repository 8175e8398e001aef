"""Variables, out of ConfigMaps and Secrets. A Secret's value never becomes part of what is written."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shipway.detect import object_name
from shipway.importing.block import Block
from shipway.importing.losses import Losses
from shipway.importing.manifests import Manifest, named
from shipway.kinds.document import Path

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,252}")
_GIVE_IT = "give its file too: -f FILE"


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A value that the result needs in the home. ``value`` is None where no file had it."""

    name: str
    key: str
    value: bytes | None = field(repr=False, default=None)

    @property
    def command(self) -> str:
        """What stores it by hand."""
        return f"shipway secret set {self.name} {self.key}"


class Settings:
    """The ConfigMaps and Secrets of all files, and which of them were used."""

    def __init__(self, manifests: Iterable[Manifest], losses: Losses) -> None:
        every = tuple(manifests)
        self.secrets: dict[tuple[str, str], StoredSecret] = {}  # those that are needed
        self._losses = losses
        self._maps, self._secrets = named(every, "ConfigMap"), named(every, "Secret")
        self._texts = {name: one.block.texts("data") for name, one in self._maps.items()}
        self._values = {name: _values(one) for name, one in self._secrets.items()}
        self._used: set[tuple[str, str]] = set()

    def env(self, container: Block, manifest: Manifest) -> dict[str, Any]:
        """``env`` and ``envFrom`` of a container as ``spec.env``."""
        found: dict[str, Any] = {}
        for one in container.blocks("envFrom"):
            found |= self._all_of(one, manifest)
        for one in container.blocks("env"):
            found |= self._variable(one, manifest)
        for name in [one for one in found if not _VARIABLE.fullmatch(one)]:
            del found[name]
            why = f"{name} is no name of a variable here: letters, digits and _, no digit first"
            self._losses.tell(manifest, (*container.path, "env"), why, "call it otherwise, and read that in the code")
        return found

    def files(self, config_map: str) -> Mapping[str, str] | None:
        """The texts of a ConfigMap; None where no file has it."""
        self._used.add(("ConfigMap", config_map))
        return self._texts.get(config_map)

    def mounted(self, secret: str) -> None:
        """A Secret is mounted as files: it must be in the cluster."""
        self._used.add(("Secret", secret))

    def tell_left(self) -> None:
        """What nothing used, and what of the used could not be carried over."""
        for one in (*self._maps.values(), *self._secrets.values()):
            if (one.kind, one.name) not in self._used:
                self._losses.tell(
                    one, (), "nothing in these files uses it", "leave it out, or give what uses it: -f FILE"
                )
            else:
                one.block.take("type", str)
                one.block.take("immutable", bool)
                self._losses.tell_left(one)

    def _variable(self, one: Block, manifest: Manifest) -> dict[str, Any]:
        name = one.text("name")
        if "valueFrom" not in one:
            return {name: one.scalar("value")}
        source = one.block("valueFrom")
        if "secretKeyRef" in source:
            wanted = source.block("secretKeyRef")
            wanted.take("optional", bool)
            return {name: self._secret(wanted.text("name"), wanted.text("key"), manifest, wanted.path)}
        if "configMapKeyRef" in source:
            wanted = source.block("configMapKeyRef")
            optional = wanted.flag("optional")
            config_map, key = wanted.text("name"), wanted.text("key")
            value = (self.files(config_map) or {}).get(key)
            if value is None and not optional:
                why = f"{name}: no file has the key {key!r} of ConfigMap {config_map!r}"
                self._losses.tell(manifest, wanted.path, why, _GIVE_IT)
            return {} if value is None else {name: value}
        source.all()
        why = f"{name}: what a Pod knows of itself is no variable here"
        self._losses.tell(
            manifest, source.path, why, "SHIPWAY_WORKLOAD, SHIPWAY_REPLICA_INDEX and HOSTNAME tell which replica it is"
        )
        return {}

    def _all_of(self, one: Block, manifest: Manifest) -> dict[str, Any]:
        prefix = one.text("prefix")
        config_map, secret = one.block("configMapRef"), one.block("secretRef")
        config_map.take("optional", bool)
        secret.take("optional", bool)
        if name := config_map.text("name"):
            texts = self.files(name)
            if texts is None:
                self._losses.tell(manifest, one.path, f"no file has the ConfigMap {name!r}", _GIVE_IT)
            return {f"{prefix}{key}": value for key, value in (texts or {}).items()}
        if name := secret.text("name"):
            if name not in self._values:
                self._losses.tell(
                    manifest, one.path, f"no file has the Secret {name!r}, so its keys are not known", _GIVE_IT
                )
            keys = self._values.get(name, {})
            return {f"{prefix}{key}": self._secret(name, key, manifest, one.path) for key in keys}
        return {}

    def _secret(self, name: str, key: str, manifest: Manifest, path: Path) -> dict[str, Any]:
        self._used.add(("Secret", name))
        ours, ours_key = object_name(name), variable_name(key)
        value = self._values.get(name, {}).get(key)
        if (ours, ours_key) != (name, key):
            why = f"the secret {name}/{key} is called {ours}/{ours_key} here"
            self._losses.tell(
                manifest, path, why, "names of secrets are names of objects, their keys those of variables"
            )
        self.secrets[ours, ours_key] = StoredSecret(ours, ours_key, value)
        return {"secret": {"name": ours, "key": ours_key}}


def variable_name(text: str) -> str:
    """The nearest name of a variable: ``db-password`` is ``db_password``."""
    word = re.sub(r"[^A-Za-z0-9_]", "_", text)[:250]
    return word if _VARIABLE.fullmatch(word) else f"_{word}"


def _values(manifest: Manifest) -> dict[str, bytes]:
    """A Secret's values. Raises InvalidObject where one is not base64; the value is not in the error."""
    block = manifest.block
    found = {}
    for key, text in block.texts("data").items():
        try:
            found[key] = base64.b64decode(text, validate=False)
        except (binascii.Error, ValueError):
            raise block.block("data").refuse(
                key, "is not base64, as values of `data` are; `stringData` takes text"
            ) from None
    return found | {key: text.encode() for key, text in block.texts("stringData").items()}
