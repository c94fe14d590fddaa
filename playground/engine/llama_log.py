"""What llama.cpp says while it works: warnings go to standard error, the last of them are kept for error messages."""

from __future__ import annotations

import os
from collections import deque
from typing import Any, Final

import llama_cpp.llama_cpp as lib

from playground.domain.errors import OutOfMemory, PlaygroundError, tells_of_no_memory

_KEPT: Final = 20
_LEVELS: Final = (3, 4)  # warnings and errors
_CONTINUES: Final = 5  # the rest of the line before


class _Log:
    """The last lines, newest last."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT)
        self._level = 0
        self.callback = lib.llama_log_callback(self._take)

    def _take(self, level: int, text: bytes, _user_data: Any) -> None:
        self._level = self._level if level == _CONTINUES else level
        if self._level not in _LEVELS:
            return
        os.write(2, text)
        line = text.decode("utf-8", errors="replace").strip()
        if level == _CONTINUES and self.lines:
            self.lines[-1] = f"{self.lines[-1]} {line}".strip()
        elif line:
            self.lines.append(line)


_log: Final = _Log()


def listen() -> None:
    """Let llama.cpp log here, and forget what it said before."""
    _log.lines.clear()
    lib.llama_log_set(_log.callback, None)


def refusal(otherwise: PlaygroundError, no_memory: str, hint: str) -> PlaygroundError:
    """The error for something llama.cpp would not do: `otherwise`, unless it said that memory ran out.

    Either carries the log's last lines as its detail.
    """
    said = "\n".join(_log.lines)
    error = OutOfMemory(no_memory, hint) if tells_of_no_memory(said) else otherwise
    error.detail = said
    return error
