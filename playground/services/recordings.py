"""Recordings: making them while a run goes on, and finding those that are shipped or the person's own."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from playground.backends.base import Backend, EventSink
from playground.backends.recording import ENDING, FORMAT, Entry, Header, encode_line
from playground.domain.endpoints import Secret
from playground.domain.errors import ConfigError
from playground.domain.events import Event, Failed, Finished, Retrying
from playground.domain.messages import GenerationRequest
from playground.services.keys import without_secrets
from playground.services.paths import shipped, user_data_dir
from playground.services.toml_files import one_line

_STREAM: Final = 0
"""Streams are numbered anew when a recording is played."""


class Recorder:
    """A sink that writes what it passes on. Each event is in the file before the next one comes.

    A file that cannot be written to its end costs the recording and not the run; `problem` says why.
    """

    def __init__(
        self, sink: EventSink, path: Path, backend: Backend, request: GenerationRequest, secrets: Sequence[Secret] = ()
    ) -> None:
        """Begin a recording of one request to a backend. Raises ConfigError for a file that exists or cannot be made.

        `secrets` are taken out of whatever is written.
        """
        self.path = path
        self.problem = ""
        self._sink = sink
        self._request = request
        self._secrets = tuple(secrets)
        name = one_line(str(path))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except (OSError, ValueError) as error:
            if isinstance(error, FileExistsError) and os.path.lexists(path):
                raise ConfigError(f"{name} exists already.", "Take another name, or remove it first.") from None
            why = one_line(getattr(error, "strerror", None) or str(error))
            raise ConfigError(f"{name} cannot be written: {why}.", "Take another place.") from error
        card = backend.card
        self._write(
            Header(
                recording=FORMAT,
                # Where a model lies on this machine is nobody's business.
                card=msgspec.structs.replace(card, id=card.short_name) if card.local else card,
                capabilities=backend.capabilities,
                prompt=request.prompt,
                params=request.params,
                options=request.options,
                reply_text=request.reply_text,
            )
        )

    def __call__(self, event: Event) -> None:
        """Take an event; those of other streams are passed on and not recorded."""
        if self._file is not None and event.stream == self._request.stream:
            now = time.monotonic()
            self._write(Entry(max(0.0, (now - self._request.submitted_at) * 1000), self._told_anew(event)))
            if isinstance(event, Finished | Failed):
                self.close()
        self._sink(event)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the recording; events are still passed on."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _told_anew(self, event: Event) -> Event:
        """The event without what holds for this run of the program alone."""
        if isinstance(event, Retrying):
            event = msgspec.structs.replace(event, resume_at=event.resume_at - self._request.submitted_at)
        return msgspec.structs.replace(event, stream=_STREAM)

    def _write(self, line: Header | Entry) -> None:
        raw = encode_line(line)
        if self._secrets:
            raw = without_secrets(raw.decode(), self._secrets).encode()
        assert self._file is not None
        try:
            while raw:
                raw = raw[os.write(self._file, raw) :]
        except OSError as error:
            self.problem = f"{one_line(str(self.path))} cannot be written: {one_line(error.strerror or '')}."
            self.close()


def shipped_recordings() -> list[Path]:
    """The recordings that come with the app, by name."""
    return _in(shipped("recordings"))


def own_recordings() -> list[Path]:
    """The person's own, by name."""
    return _in(own_recordings_folder())


def own_recordings_folder() -> Path:
    """Where the person's own recordings are kept; it may not exist yet."""
    return user_data_dir() / "recordings"


def find_recording(name: str) -> Path:
    """The file of a recording, by its path or its name; the person's own come before those that are shipped.

    Raises ConfigError with the names there are.
    """
    if "/" in name or name.endswith(ENDING):
        return Path(os.path.expanduser(name))
    known = {path.name.removesuffix(ENDING): path for path in (*shipped_recordings(), *own_recordings())}
    if name not in known:
        names = ", ".join(one_line(one, 60) for one in known) or "none"
        raise ConfigError(f"There is no recording {one_line(name, 60)!r}.", f"There are: {names}.")
    return known[name]


def _in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(ENDING) and path.is_file())
    except OSError:
        return []
