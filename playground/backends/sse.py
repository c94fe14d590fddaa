"""Server-sent events, from bytes as they come to the data of whole events."""

from __future__ import annotations

from typing import Final

from playground.domain.sizes import size_text

LONGEST_EVENT: Final = 64_000_000
"""Bytes after which an event that does not end is given up."""


class EventReader:
    """Puts a stream's bytes together to events. Lines end with a line feed, or a carriage return before one.

    Only the data counts: names, ids, comments and retry times are left out. Nothing is decoded here.
    """

    def __init__(self) -> None:
        self._line: list[bytes] = []
        """Pieces of a line whose end has not come."""
        self._data: list[bytes] = []
        """Lines of data of an event whose end has not come."""
        self._held = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of the events that became whole with these bytes. Raises ValueError for one that never ends."""
        lines = piece.split(b"\n")
        if self._line:
            self._line.append(lines[0])
            if len(lines) > 1:
                lines[0] = b"".join(self._line)
                self._line = []
            self._held += len(piece)
        rest = lines.pop()
        if lines:
            self._held = len(rest)
            if rest:
                self._line = [rest]
        elif not self._line and rest:
            self._line = [rest]
            self._held = len(rest)
        if self._held > LONGEST_EVENT:
            raise ValueError(f"an event of more than {size_text(LONGEST_EVENT)}")
        return self._events(lines)

    def finish(self) -> list[bytes]:
        """The event at the very end, for servers that forget the empty line behind it."""
        lines, self._line = [b"".join(self._line), b""], []
        return self._events(lines)

    def _events(self, lines: list[bytes]) -> list[bytes]:
        events = []
        for line in lines:
            if line in (b"", b"\r"):
                if self._data:
                    events.append(b"\n".join(self._data) if len(self._data) > 1 else self._data[0])
                    self._data = []
            elif line.startswith(b"data:"):
                self._data.append(line[5:].strip(b" \r"))
        return events
