"""An API server as messages name it."""

from __future__ import annotations

from dataclasses import dataclass, field

_IN_CLUSTER = ""


@dataclass(frozen=True, slots=True)
class Server:
    """``url``: ``https://10.0.0.1:6443``. ``context`` is empty inside of a Pod. ``identity`` says whose credentials,
    without any of them: ``the token of user "admin"``."""

    url: str
    context: str = ""
    identity: str = field(default="the anonymous user", compare=False)
    kubeconfig: str = ""

    @property
    def flags(self) -> str:
        """With which kubectl reaches the same server; with a space in front."""
        config = f" --kubeconfig {self.kubeconfig}" if self.kubeconfig else ""
        return f"{config} --context {self.context}" if self.context else config

    def __str__(self) -> str:
        return f"cluster {self.url} (context {self.context})" if self.context else f"cluster {self.url}"
