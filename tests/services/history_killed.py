"""Programs that keep a conversation as the app does, to be killed in the middle of it."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

from playground.domain.history import Setting
from playground.domain.session import Session
from playground.services.history import History
from playground.services.history_recorder import Recorder
from tests.services.history_support import begin, end, write

EVERY_S = 0.01
"""How often a program writes down what is new: a hundred times as often as the app, to be killed while it does."""
WORDS_A_REPLY = 40


def talk(path: Path, uid: str, said: Connection) -> None:
    """Talk without end, and write each word to the pipe `said` before the history hears of it: "TIME REPLY WORD"."""
    asyncio.run(_talk(path, uid, said.fileno()))


async def _talk(path: Path, uid: str, said: int) -> None:
    history, session, recorder = History(path), Session(), Recorder(uid)
    await history.open()
    keeping = asyncio.create_task(_keep(history, recorder, session))
    for reply in itertools.count():
        begin(session, f"Question {reply}")
        for word in range(WORDS_A_REPLY):
            os.write(said, f"{time.monotonic()} {reply} {word}\n".encode())
            write(session, f" {reply}:{word}")
            await asyncio.sleep(0.001)
            if keeping.done():
                keeping.result()
        end(session)


async def _keep(history: History, recorder: Recorder, session: Session) -> None:
    while True:
        change = recorder.take(session, Setting(preset="balanced"))
        assert await history.keep([change] if change is not None else []), history.problem
        await asyncio.sleep(EVERY_S)
