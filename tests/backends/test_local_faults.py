"""What can go wrong with a model file or a worker: one clear sentence, and nothing that was written is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from playground.backends.local import LocalBackend
from playground.domain.errors import EngineDied, ModelFileError, OutOfMemory, PlaygroundError
from playground.domain.events import Failed, Finished, TokenGenerated
from playground.domain.models import LoadOptions
from playground.domain.sampling import SamplingParams
from tests.backends.conftest import Load
from tests.backends.support import Sink
from tests.conftest import TinyModels
from tests.engine.support import request

LONG = SamplingParams(temperature=0.0, max_tokens=-1, ignore_eos=True)


def _missing(folder: Path, model: Path) -> Path:
    return folder / "nothing.gguf"


def _empty(folder: Path, model: Path) -> Path:
    (folder / "empty.gguf").touch()
    return folder / "empty.gguf"


def _truncated(folder: Path, model: Path) -> Path:
    data = model.read_bytes()
    (folder / "half.gguf").write_bytes(data[: len(data) // 2])
    return folder / "half.gguf"


def _wrong_magic(folder: Path, model: Path) -> Path:
    (folder / "zip.gguf").write_bytes(b"PK\x03\x04" + model.read_bytes()[4:])
    return folder / "zip.gguf"


def _folder(folder: Path, model: Path) -> Path:
    return folder


def _unreadable(folder: Path, model: Path) -> Path:
    path = folder / "secret.gguf"
    shutil.copy(model, path)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    return path


@pytest.mark.parametrize("make", [_missing, _empty, _truncated, _wrong_magic, _folder, _unreadable])
async def test_a_bad_file_is_one_sentence(load: Load, tiny_models: TinyModels, tmp_path: Path, make: object) -> None:
    assert callable(make)
    with pytest.raises(ModelFileError) as caught:
        await load(make(tmp_path, tiny_models("base")))
    assert caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "says"), [("embedding", "embedding"), ("projector", "vision")])
async def test_a_model_that_does_not_write_is_refused(
    load: Load, tiny_models: TinyModels, kind: str, says: str
) -> None:
    with pytest.raises(ModelFileError, match=says):
        await load(tiny_models(kind))


async def test_flipped_bits_never_do_more_than_fail(load: Load, tiny_models: TinyModels, tmp_path: Path) -> None:
    """Each damaged file loads, or is refused, or ends its worker: always an answer, never a hang."""
    sound = tiny_models("base").read_bytes()
    random_bits = random.Random(5)
    for _ in range(12):
        data = bytearray(sound)
        for _ in range(3):
            data[random_bits.randrange(len(data) // 10)] ^= 1 << random_bits.randrange(8)
        path = tmp_path / "flipped.gguf"
        path.write_bytes(data)
        with contextlib.suppress(PlaygroundError):
            backend = await load(path)
            sink = Sink()
            await backend.generate(request(1, "the water", max_tokens=2), sink)
            assert isinstance(sink.events[-1], Finished | Failed)
            await backend.close()


async def test_a_load_can_be_cancelled(starter_gguf: Path, tmp_path: Path) -> None:
    begun = asyncio.Event()
    options = LoadOptions(context=512, mmap=False)
    loading = asyncio.create_task(LocalBackend.load(str(starter_gguf), options, tmp_path, lambda fraction: begun.set()))
    await begun.wait()
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert not psutil.Process().children()


@pytest.mark.parametrize("turns", [1, 3, 10, 100])
async def test_a_load_can_be_cancelled_before_the_worker_said_anything(
    starter_gguf: Path, tmp_path: Path, turns: int
) -> None:
    loading = asyncio.create_task(LocalBackend.load(str(starter_gguf), LoadOptions(), tmp_path))
    for _ in range(turns):
        await asyncio.sleep(0)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert not psutil.Process().children()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV])
async def test_a_worker_that_dies_while_it_streams(load: Load, starter_gguf: Path, number: signal.Signals) -> None:
    backend = await load(starter_gguf)
    sink, other = Sink(), Sink()
    running = [
        asyncio.create_task(backend.generate(request(1, "Once upon a time", LONG), sink)),
        asyncio.create_task(backend.generate(request(2, "The river", LONG), other)),
    ]
    await sink.until(lambda: len(sink.ids) >= 3)
    os.kill(backend.pid, number)
    await asyncio.gather(*running)
    for each in (sink, other):
        failed = each.events[-1]
        assert isinstance(failed, Failed)
        assert failed.problem.kind == "EngineDied"
        assert number.name in failed.problem.message
        assert "reload" in failed.problem.hint
        assert failed.problem == (await backend.died).problem
    assert sum(isinstance(event, TokenGenerated) for event in sink.events) >= 3
    with pytest.raises(EngineDied):
        await backend.view_prompt(request(1, "x").prompt)
    late = Sink()
    await backend.generate(request(3, "x"), late)
    assert isinstance(late.events[-1], Failed)
    await backend.stop(3)


async def test_the_last_words_of_the_worker_are_kept(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf)
    sink = Sink()
    running = asyncio.create_task(backend.generate(request(1, "Once", LONG), sink))
    await sink.until(lambda: len(sink.ids) >= 1)
    os.kill(backend.pid, signal.SIGSEGV)
    await running
    assert isinstance(sink.events[-1], Failed)
    assert "Segmentation fault" in sink.events[-1].problem.detail


def test_a_worker_ends_when_the_app_is_killed(starter_gguf: Path, tmp_path: Path) -> None:
    """Nobody tells it: its pipe is closed, in the middle of a long prompt."""
    code = f"""
        import asyncio, os, signal
        from pathlib import Path
        from playground.backends.local import LocalBackend
        from playground.domain.models import LoadOptions
        from tests.engine.support import request

        async def main():
            options = LoadOptions(context=4096, threads=1, threads_batch=1)
            backend = await LocalBackend.load({str(starter_gguf)!r}, options, Path({str(tmp_path)!r}))
            print(backend.pid, flush=True)
            await backend.generate(request(1, "river " * 3000), lambda event: os.kill(os.getpid(), signal.SIGKILL))

        asyncio.run(main())
    """
    app = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    worker = psutil.Process(int(app.stdout.readline()))
    assert app.wait() == -signal.SIGKILL
    app.stdout.close()
    psutil.wait_procs([worker], timeout=30)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


async def test_a_context_that_is_too_large_is_refused_before_it_is_taken(load: Load, starter_gguf: Path) -> None:
    with pytest.raises(OutOfMemory, match="context") as caught:
        await load(starter_gguf, context=2**31 - 256)
    assert " TB, but only " in caught.value.message
    assert "smaller KV cache" in caught.value.hint


@pytest.mark.parametrize("limit_mib", [290, 390, 490])
async def test_memory_that_runs_out_at_load(
    load: Load, starter_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit_mib: int
) -> None:
    """Wherever the limit bites (weights, cache, buffers), the sentence says that it was memory."""
    if sys.platform != "linux":
        pytest.skip("address space limits are Linux's")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nulimit -v {limit_mib * 1024}\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(OutOfMemory) as caught:
        await load(starter_gguf, context=8192)
    assert "memory" in caught.value.message
    assert "smaller" in caught.value.hint


async def test_answers_that_cannot_be_read_end_the_worker(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nprintf 'Welcome to this shell!'\nexec cat\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(EngineDied, match="cannot be read"):
        await load(tmp_path / "any.gguf")
