"""One line of a terminal that tells what is going on, and is written over."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Final

_REDRAW_S: Final = 0.1


class StatusLine:
    """Stands on standard error; nothing where that is no terminal."""

    def __init__(self) -> None:
        self._out = sys.stderr if sys.stderr.isatty() else None
        self._drawn_s = 0.0

    def show(self, text: str, *, at_once: bool = False) -> None:
        """Write over what stood there; too soon after the last time, nothing happens."""
        if self._out is None or (time.monotonic() - self._drawn_s < _REDRAW_S and not at_once):
            return
        self._drawn_s = time.monotonic()
        width = shutil.get_terminal_size().columns - 1
        self._out.write(f"\r\x1b[K{text[:width]}")
        self._out.flush()

    def clear(self) -> None:
        """Take it away, so that something else can be written there."""
        if self._out is not None:
            self._out.write("\r\x1b[K")
            self._out.flush()
