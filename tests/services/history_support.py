"""Sessions with replies in them, without a model, and a folder that nobody may enter."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from playground.domain.events import Finished, Started, StopReason, TokenGenerated
from playground.domain.session import Session
from playground.domain.usage import Timings, Usage
from tests.app.support import token


def begin(session: Session, text: str, *words: str) -> None:
    """Ask, and let a reply begin."""
    request = session.send(text)
    session.apply(Started(stream=request.stream, prompt_tokens=5, cached_tokens=0, params=request.params, seed=7))
    write(session, *words)


def write(session: Session, *words: str) -> None:
    """More of the reply."""
    assert session.active is not None
    for index, word in enumerate(words, len(session.active.tokens)):
        session.apply(TokenGenerated(stream=session.stream, token=token(index, word.encode())))


def end(session: Session, cost: float | None = 0.0) -> None:
    """The end of the reply."""
    assert session.active is not None
    usage = Usage(prompt_tokens=5, completion_tokens=len(session.active.tokens), cost=cost)
    timings = Timings(ttft_ms=80.0, tokens_per_second=50.0)
    session.apply(
        Finished(
            stream=session.stream, reason=StopReason.STOP, text=session.active.content, usage=usage, timings=timings
        )
    )


def ask(session: Session, text: str, *words: str, cost: float | None = 0.0) -> None:
    """Ask, and have the whole reply."""
    begin(session, text, *words)
    end(session, cost)


@contextlib.contextmanager
def closed(folder: Path) -> Iterator[None]:
    """A folder that nobody may enter; root, whom that does not stop, is somebody else meanwhile."""
    folder.chmod(0)
    if os.getuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        folder.chmod(stat.S_IRWXU)
