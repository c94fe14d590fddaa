"""What is found out beside the work about models: once, off the way, and put to what was written under it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from msgspec import structs

from playground.backends.local import LocalBackend
from playground.domain.history import Setting
from playground.domain.models import LoadOptions
from playground.domain.session import Session
from playground.services.history import History
from playground.services.history_models import KnownModels, ReplySettings
from playground.services.history_recorder import Recorder
from tests.services.history_support import ask
from tests.toy_model import TOY

LOAD = LoadOptions(context=512)
ENDLESS = 1 << 40
"""Bytes of a file with nothing in it: more than any machine hashes while a test runs."""


def backend_of(path: Path, size: int) -> LocalBackend:
    """A loaded model whose file has this size; what is in it is not a model."""
    path.write_bytes(b"GGUF")
    os.truncate(path, size)
    backend = LocalBackend()
    backend.info = structs.replace(TOY, path=str(path), size_bytes=size)
    return backend


def readers() -> list[threading.Thread]:
    """Threads that read a file for its hash, or wait for another one."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("hash_")]


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go on until something is so."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - who finds something out tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture
async def models() -> AsyncIterator[KnownModels]:
    known = KnownModels()
    yield known
    await known.end(0.0)


async def test_a_large_file_is_read_by_who_stands_back_and_is_not_waited_for(
    tmp_path: Path, models: KnownModels
) -> None:
    backend = backend_of(tmp_path / "large.gguf", ENDLESS)
    models.meet(backend, LOAD)
    await until(lambda: models.of(backend.card.id).load == LOAD)
    assert not readers(), "nobody said that it is time"
    models.hash_next()
    await until(readers)
    (reader,) = readers()
    if sys.platform == "linux":
        assert reader.native_id is not None
        await until(lambda: os.getpriority(os.PRIO_PROCESS, reader.native_id or 0) == 19)
    await asyncio.wait_for(models.end(60.0), 30.0)
    assert not readers()
    assert not models.of(backend.card.id).model_hash


async def test_a_small_file_is_waited_for_at_the_end(tmp_path: Path, models: KnownModels) -> None:
    backend = backend_of(tmp_path / "small.gguf", 1 << 20)
    models.meet(backend, LOAD)
    await models.end(60.0)
    digest = hashlib.sha256((tmp_path / "small.gguf").read_bytes()).hexdigest()
    assert models.of(backend.card.id).model_hash == digest
    again = KnownModels()
    again.meet(backend, LOAD)
    await again.end(0.0)
    assert again.of(backend.card.id).model_hash == digest, "without being read: it was remembered"


async def test_a_model_is_looked_at_once_and_a_file_that_is_gone_is_nobodys_trouble(
    tmp_path: Path, models: KnownModels
) -> None:
    backend = backend_of(tmp_path / "gone.gguf", 1 << 20)
    models.meet(backend, LOAD)
    await until(lambda: models.of(backend.card.id).load)
    models.meet(backend, LoadOptions(context=1024))
    (tmp_path / "gone.gguf").unlink()
    models.hash_next()
    await models.end(60.0)
    known = models.of(backend.card.id)
    assert (known.load, known.model_hash, known.model_facts["name"]) == (LOAD, "", TOY.name)


async def test_what_is_found_out_comes_to_what_was_written_before_but_not_to_what_was_read_from_the_history(
    tmp_path: Path, models: KnownModels
) -> None:
    backend = backend_of(tmp_path / "model.gguf", 1 << 20)
    old = Setting(model_ref=backend.card.id, preset="of yesterday", prompt_ids=(1, 2))
    settings = ReplySettings(models, {2: old, 4: old})
    settings.wrote(6, Setting(model_ref=backend.card.id, preset="balanced"))
    models.meet(backend, LOAD)
    await models.end(60.0)
    assert settings.known()[2] == old
    known = settings.known()[6]
    assert (known.preset, known.load, len(known.model_hash)) == ("balanced", LOAD, 64)
    settings.wrote(4, Setting(model_ref=backend.card.id, preset="balanced"))
    assert settings.known()[4] == structs.replace(known, prompt_ids=(1, 2)), "it goes on, and its prompt is the same"


@pytest.mark.parametrize("reopened", [False, True])
async def test_a_conversation_that_nobody_follows_any_more_gets_the_hash_later(
    tmp_path: Path, models: KnownModels, reopened: bool
) -> None:
    backend = backend_of(tmp_path / "model.gguf", 1 << 20)
    history = History(tmp_path / "history.sqlite3")
    await history.open()
    models.meet(backend, LOAD)
    await until(lambda: models.of(backend.card.id).load)
    session, recorder = Session(), Recorder()
    ask(session, "Hello", "Yes")
    ask(session, "Why?", "No")
    doubtful = {2: Setting(model_ref=backend.card.id)} if reopened else {}  # another file may have stood there then
    settings = ReplySettings(models, doubtful)
    for turn_id in (2, 4):
        if turn_id not in settings:
            settings.wrote(turn_id, Setting(model_ref=backend.card.id))
    change = recorder.take(session, Setting(), settings.known())
    assert change is not None
    await history.keep([change])
    settings.leave(recorder.uid)
    models.hash_next()
    await until(lambda: models.of(backend.card.id).model_hash)
    assert models.owing is not reopened
    await models.put_hashes(history)
    assert not models.owing
    tree = await history.read(lambda reader: reader.tree(recorder.uid))
    digest = models.of(backend.card.id).model_hash
    assert {setting.model_hash for setting in tree.settings.values()} == {"" if reopened else digest}
    await history.close()
