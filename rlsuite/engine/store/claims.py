"""Who runs which cell: locks that the operating system frees when a process dies.

All claims of a run folder are byte-range locks on one file, at offsets given by the cell's hash.
POSIX locks end with their process, also after `kill -9`; any number of
`rlsuite work` processes may share a folder.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

# Offsets must fit a signed 64-bit file position; 48 bits of the hash keep collisions unlikely,
# and a collision only makes two cells wait for each other.
_OFFSET_DIGITS = 12


class Claims:
    """The claims of this process on one run folder. Open it once per process.

    POSIX locks of a process on a file are all freed when it closes *any* descriptor of that file,
    so nothing else may open `claims.lock`.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "claims.lock", os.O_RDWR | os.O_CREAT, 0o644)

    def take(self, cell_id: str) -> bool:
        """Claim a cell; False where another live process holds it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._offset(cell_id))
        except (BlockingIOError, PermissionError):
            return False
        return True

    def release(self, cell_id: str) -> None:
        """Give a claim back."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._offset(cell_id))

    def _offset(self, cell_id: str) -> int:
        return int(cell_id[:_OFFSET_DIGITS], 16)

    def close(self) -> None:
        """Free every claim."""
        os.close(self._file)
