"""What an object may not be that its schema lets through: rules over several objects. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from shipway.errors import FieldError, Refused
from shipway.kinds import LOCAL, Cluster, ModelJob, ModelService, Object


def placed(obj: Object) -> str:
    """The cluster that it is to run on; empty for what runs nowhere."""
    return obj.spec.cluster if isinstance(obj, ModelJob | ModelService) else ""


def without_image(obj: Object) -> bool:
    """Whether it is to run where only images run, and says none."""
    return isinstance(obj, ModelJob | ModelService) and obj.spec.cluster != LOCAL and not obj.spec.image


def missing_image(obj: Object) -> list[FieldError]:
    """Who applies a file builds nothing; that is said here, and not by a condition that nobody reads."""
    if not without_image(obj):
        return []
    told = f"is missing: cluster {placed(obj)} runs images; run `shipway up`, which builds one, or give image"
    return [FieldError("spec.image", told)]


def check_cluster(obj: Object) -> list[FieldError]:
    """``local`` is this machine, and no other cluster is."""
    if not isinstance(obj, Cluster):
        return []
    if obj.name == LOCAL and obj.spec != type(obj.spec)():
        return [FieldError("spec", f"cluster {LOCAL} is this machine, and has no settings: give yours another name")]
    if obj.name != LOCAL and obj.spec.type == "local":
        return [FieldError("spec.type", f"is local, and this machine is cluster {LOCAL}: write type: kubernetes")]
    return []


def check_removal(name: str, objects: Iterable[Object], *, force: bool) -> None:
    """Raises Refused for ``local``, and unless forced for a cluster that services or jobs run on."""
    if name == LOCAL:
        raise Refused(f"cluster {LOCAL} is this machine, and cannot be deleted")
    using = [f"{one.kind}/{one.name}" for one in objects if placed(one) == name]
    if using and not force:
        shown = ", ".join(using[:5]) + (f" and {len(using) - 5} more" if len(using) > 5 else "")
        raise Refused(
            f"cluster {name} is where {shown} run" + ("s" if len(using) == 1 else ""),
            next_step=f"Stop them first: shipway down --cluster {name}. With --force they go on there, unwatched.",
        )
