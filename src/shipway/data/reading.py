"""Files that are read once: their blocks for who cuts them, their digests at the end."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from shipway.data.contents import Contents
from shipway.data.files import DataFile, Found
from shipway.oci import Digest
from shipway.transfer import Progress, Report


class Reading:
    """Files that are read once: their blocks for who wants them, their digests at the end."""

    def __init__(self, name: str, contents: Contents, found: Sequence[Found], report: Report) -> None:
        self.files: list[DataFile] = []
        self._name = name
        self._contents = contents
        self._found = found
        self._report = report

    def blocks(self) -> Iterator[bytes]:
        total, done = sum(one.size for one in self._found), 0
        for file, blocks in groupby(self._contents.stream(self._found), key=itemgetter(0)):
            hasher = hashlib.sha256()
            for _, block in blocks:
                hasher.update(block)
                yield block
                done += len(block)
                self._report(Progress(self._name, done, total))
            digest = Digest("sha256:" + hasher.hexdigest())
            self.files.append(
                DataFile(
                    name=file.name,
                    size=file.size,
                    executable=file.executable,
                    etag=file.etag,
                    revision=file.revision,
                    digest=digest,
                )
            )

    def read(self) -> list[DataFile]:
        """All of it, for the digests alone."""
        deque(self.blocks(), maxlen=0)
        return self.files
