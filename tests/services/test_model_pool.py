"""Models shared by panes: one worker for each file, gone with its last user; on tiny models."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from msgspec import structs

from playground.backends.local import LocalBackend
from playground.domain.endpoints import ModelRef
from playground.domain.errors import BadInput, KeyMissing, ModelFileError, OutOfMemory
from playground.domain.models import LoadOptions
from playground.engine.memory import MemoryEstimate
from playground.services.model_pool import ModelPool
from playground.services.model_slot import ModelSlot
from playground.services.settings import Settings, load_settings, settings_path
from tests.fakes.hosted_api import fake_api

SETTINGS = Settings(load=LoadOptions(threads=1, threads_batch=1, context=256))


def quiet(_fraction: float) -> None:
    """Takes the progress of a load."""


@pytest.fixture
async def pool() -> AsyncIterator[ModelPool]:
    """A pool that leaves nothing behind."""
    made = ModelPool(SETTINGS)
    yield made
    await made.close_all()


def pid_of(backend: object) -> int:
    assert isinstance(backend, LocalBackend)
    return backend.pid


async def test_one_file_is_one_worker_until_its_last_user_gives_it_back(
    pool: ModelPool, tiny_models: Callable[[str], Path]
) -> None:
    ref = ModelRef("", str(tiny_models("chat")))
    heard: list[float] = []
    one, two = await asyncio.gather(pool.open(ref, heard.append), pool.open(ref, quiet))
    assert one is two
    assert heard
    assert heard == sorted(heard)
    pid = pid_of(one)
    await pool.close(one)
    assert psutil.pid_exists(pid)
    await pool.close(two)
    assert not psutil.pid_exists(pid)


async def test_one_file_with_other_settings_is_another_worker(
    pool: ModelPool, tiny_models: Callable[[str], Path]
) -> None:
    ref, other = ModelRef("", str(tiny_models("chat"))), structs.replace(SETTINGS.load, kv_type="q8_0")
    one = await pool.open(ref, quiet)
    two = await pool.open(ref, quiet, options=other)
    again = await pool.open(ref, quiet, options=other)
    assert two is again
    assert pid_of(one) != pid_of(two)
    assert isinstance(two, LocalBackend)
    assert two.info is not None
    assert two.info.kv_type == "q8_0"


async def test_files_wanted_at_once_beside_another_start_once(
    pool: ModelPool, tiny_models: Callable[[str], Path]
) -> None:
    await pool.open(ModelRef("", str(tiny_models("chat"))), quiet)
    other = ModelRef("", str(tiny_models("base")))
    one, two = await asyncio.gather(pool.open(other, quiet), pool.open(other, quiet))
    assert one is two


async def test_a_worker_that_died_is_started_anew_and_everybody_can_leave_the_old_one(
    pool: ModelPool, tiny_models: Callable[[str], Path]
) -> None:
    ref = ModelRef("", str(tiny_models("chat")))
    slots = [ModelSlot(pool, quiet) for _ in range(2)]
    before = [await slot.open(ref) for slot in slots]
    os.kill(pid_of(before[0]), signal.SIGKILL)
    errors = await asyncio.gather(*(slot.lost() for slot in slots))
    assert errors[0] is errors[1]
    assert errors[0] is not None
    after = [await slot.open(ref) for slot in slots]
    assert after[0] is after[1]
    assert after[0] is not before[0]


async def test_a_model_that_is_given_up_is_not_lost(pool: ModelPool, tiny_models: Callable[[str], Path]) -> None:
    slot = ModelSlot(pool, quiet)
    assert await slot.lost() is None
    await slot.open(ModelRef("", str(tiny_models("chat"))))
    watching = asyncio.create_task(slot.lost())
    await asyncio.sleep(0)
    await slot.close()
    assert await asyncio.wait_for(watching, 5) is None


async def test_a_second_model_must_fit_and_the_first_is_not_asked(
    pool: ModelPool, tiny_models: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = MemoryEstimate(7_000_000_000, 1_500_000_000, 4096, 2_000_000_000, enough=False)
    monkeypatch.setattr("playground.engine.memory.estimate_memory", lambda *_: short)
    first = ModelRef("", str(tiny_models("chat")))
    await pool.open(first, quiet)
    await pool.open(first, quiet)
    with pytest.raises(OutOfMemory, match=r"base\.gguf needs about 8\.50 GB beside what is loaded, and 2 GB"):
        await pool.open(ModelRef("", str(tiny_models("base"))), quiet)


async def test_a_load_that_is_given_up_by_one_goes_on_for_the_other(
    pool: ModelPool, tiny_models: Callable[[str], Path]
) -> None:
    ref = ModelRef("", str(tiny_models("chat")))
    staying, leaving = ModelSlot(pool, quiet), ModelSlot(pool, quiet)
    tasks = [asyncio.create_task(slot.open(ref)) for slot in (staying, leaving)]
    await asyncio.sleep(0)
    assert leaving.loading
    await leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    pid = pid_of(await tasks[0])
    await staying.close()
    assert not psutil.pid_exists(pid)


async def test_files_that_are_no_models_and_names_nobody_knows_are_refused(pool: ModelPool, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    with pytest.raises(ModelFileError):
        await pool.check(ModelRef("", str(broken)))
    with pytest.raises(BadInput, match="There is no endpoint 'nowhere'"):
        await pool.check(ModelRef("nowhere", "m"))
    with pytest.raises(KeyMissing, match="There is no key for openai"):
        await pool.open(ModelRef("openai", "gpt-5"), quiet)


async def test_hosted_models_have_a_line_each_and_all_are_closed_at_the_end() -> None:
    async with fake_api() as fake:
        settings_path().parent.mkdir(parents=True, exist_ok=True)
        settings_path().write_text(f'[endpoints.box]\nbase_url = "{fake.openai_url}"\n')
        pool = ModelPool(load_settings()[0])
        assert pool.find("box/m:ok") == ModelRef("box", "m:ok")
        one, two = [await pool.open(ModelRef("box", "m:ok"), quiet) for _ in range(2)]
        assert one is not two
        await pool.close(one)
        await pool.close_all()
        await asyncio.wait_for(fake.until_open(0), 5)
