"""What a registry does not have, in the words for what is not here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from shipway.errors import NotFound, RegistryRefused
from shipway.oci.reference import Reference


@contextmanager
def missing(reference: Reference) -> Iterator[None]:
    """What a registry does not have was not found: NotFound, as for what is not here."""
    try:
        yield
    except RegistryRefused as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        said = f" ({error.diagnosis})" if error.diagnosis else ""
        raise NotFound(f"there is no {reference}{said}", next_step=error.next_step) from error
