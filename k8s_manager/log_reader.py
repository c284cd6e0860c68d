"""Many logs as one file that can be read from any place on, without being held in memory.

Each part stands under a line of its own, as `tail` writes it:

    ==> step detect, index 3, attempt r1-5f0c2a17, stderr <==
"""

from __future__ import annotations

import bisect
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from k8s_manager.job_logs import Part
from k8s_manager.plain_files import open_file


class LogReader(io.RawIOBase):
    """The parts, one behind the other, each as long as it was when it was looked at."""

    def __init__(self, root: Path, parts: Sequence[Part], titled: bool = True) -> None:
        """Keep the parts; nothing is opened before it is read.

        Args:
            root: The job's folder.
            parts: What to read, in this order.
            titled: Whether each part stands under its title.
        """
        self._root = root
        self._pieces: list[bytes | Part] = []
        for number, part in enumerate(parts):
            if titled:
                self._pieces.append(heading(part, first=number == 0))
            self._pieces.append(part)
        lengths = (piece.size if isinstance(piece, Part) else len(piece) for piece in self._pieces)
        self._starts = list(itertools.accumulate(lengths, initial=0))
        self.size = self._starts[-1]
        self._place = 0
        self._file: BinaryIO | None = None
        self._opened = -1

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read from any place on."""
        return True

    def tell(self) -> int:
        """Return from where on the next bytes are read."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Read from another place on."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with what comes next of one piece; 0 at the end.

        Raises:
            OSError: A file is gone, or shorter than it was.
        """
        if self._place >= self.size:
            return 0
        number = bisect.bisect_right(self._starts, self._place) - 1
        begin = self._place - self._starts[number]
        length = min(len(buffer), self._starts[number + 1] - self._place)
        piece = self._pieces[number]
        if isinstance(piece, bytes):
            data = piece[begin : begin + length]
        else:
            data = self._read(number, piece, begin, length)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file that is open."""
        if self._file is not None:
            self._file.close()
        super().close()

    def _read(self, number: int, part: Part, begin: int, length: int) -> bytes:
        if self._file is None or self._opened != number:
            if self._file is not None:
                self._file.close()
            self._file, self._opened = open_file(self._root, part.names), number
        self._file.seek(begin)
        data = self._file.read(length)
        if not data:
            raise OSError(f"{part.title}: shorter than the {part.size} bytes that it had")
        return data


def heading(part: Part, first: bool) -> bytes:
    """Return the line above a part, set off from what stands before it."""
    return f"{'' if first else chr(10)}==> {part.title} <==\n".encode()
