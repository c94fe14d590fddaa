"""The worker process of a local model: starting it, its pipes, and what can be said when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from playground.domain.display import display_text
from playground.domain.errors import BadInput
from playground.engine import protocol

_LOG_LINES: Final = 12
_LOG_BYTES: Final = 1 << 16
_PATIENCE_S: Final = 2.0
_ENDLESS: Final = ", as its chat template did not come to an end; raw mode (F7, or --raw) needs none"

_log_numbers: Final = itertools.count(1)


class WorkerProcess(asyncio.SubprocessProtocol):
    """One running worker. Make it with `start`; answers go to `receive` as soon as they are read.

    A protocol and no stream: between the pipe and the receiver lies one callback, and no task has to wake up for each
    token on a processor that the model wants.
    """

    def __init__(self, receive: Callable[[protocol.Answer], None], log: Path) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Resolves when the process is gone and everything it wrote was received."""
        self._receive = receive
        self._log = log
        self._frames = protocol.answer_reader()
        self._broken = ""
        self._transport: asyncio.SubprocessTransport | None = None

    @classmethod
    async def start(cls, receive: Callable[[protocol.Answer], None], log_folder: Path) -> WorkerProcess:
        """Start a process. Cancelling this ends it again."""
        log = log_folder / f"engine-{os.getpid()}-{next(_log_numbers)}.log"
        with _open_log(log) as stderr:
            _, worker = await asyncio.get_running_loop().subprocess_exec(
                lambda: cls(receive, log),
                sys.executable,
                "-P",  # a file in the current folder must not pass for one of our modules
                "-m",
                "playground.engine",
                stderr=stderr,
                process_group=0,  # Ctrl-C in the terminal is for the app alone
            )
        return worker

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._transport is not None
        return self._transport.get_pid()

    def send(self, request: protocol.Request) -> None:
        """Write a request, if there is still somebody to read it. Raises BadInput for text that is none."""
        try:
            frame = protocol.encode(request)
        except UnicodeEncodeError as error:
            broken = display_text(error.object[max(0, error.start - 10) : error.end + 10])
            raise BadInput(f"There is half a character in {broken!r}.", "Type that part again.") from error
        assert self._transport is not None
        pipe = cast(asyncio.WriteTransport | None, self._transport.get_pipe_transport(0))
        if pipe is not None and not pipe.is_closing():
            pipe.write(frame)

    async def close(self) -> None:
        """End the process: first by closing its input, then by force."""
        assert self._transport is not None
        pipe = self._transport.get_pipe_transport(0)
        if pipe is not None:
            pipe.close()
        try:
            await asyncio.wait_for(asyncio.shield(self.ended), _PATIENCE_S)
        except TimeoutError:
            self._kill()
            await self.ended
        finally:
            with contextlib.suppress(OSError):
                self._log.unlink()

    def how_it_ended(self) -> str:
        """Such as "ended by SIGKILL, as happens when memory runs out"."""
        return self._broken or _how(self._transport.get_returncode() if self._transport else None)

    def last_words(self) -> str:
        """The last lines of its log."""
        try:
            text = self._log.read_bytes()[-_LOG_BYTES:].decode("utf-8", errors="replace")
        except OSError:
            return ""
        # Where Python was when llama.cpp gave up says less than what llama.cpp said.
        said, _, _ = text.partition("Fatal Python error")
        return "\n".join(said.strip().splitlines()[-_LOG_LINES:] or text.splitlines()[:_LOG_LINES])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.SubprocessProtocol."""
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """See asyncio.SubprocessProtocol."""
        if self._broken:
            return
        try:
            for answer in self._frames.feed(data):
                self._receive(answer)
        except msgspec.DecodeError as error:
            self._broken = f"its answers cannot be read ({error})"
            self._kill()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.SubprocessProtocol: the process has exited and its pipes are empty."""
        assert self._transport is not None
        self._transport.close()
        if not self.ended.done():
            self.ended.set_result(None)

    def _kill(self) -> None:
        assert self._transport is not None
        with contextlib.suppress(ProcessLookupError):
            self._transport.kill()


def _open_log(log: Path) -> BinaryIO:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("wb")
    except OSError:  # nothing can be kept there; that is no reason not to run
        return open(os.devnull, "wb")


def _how(status: int | None) -> str:
    if status is None or status >= 0:
        return f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    reasons = {"SIGKILL": ", as happens when memory runs out", "SIGABRT": ", llama.cpp gave up", "SIGVTALRM": _ENDLESS}
    reason = reasons.get(name, "")
    return f"ended by {name}{reason}"
