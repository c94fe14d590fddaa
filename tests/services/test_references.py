"""From a reference to an answer: key, retries and fallback over a real socket, and no trace of the key left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from playground.backends.base import Backend
from playground.domain.endpoints import ModelRef
from playground.domain.errors import BadInput, ConfigError, KeyMissing
from playground.domain.events import Event, Failed, FellBack, Finished, Retrying, StopReason
from playground.domain.session import Session
from playground.services.endpoints import PROVIDERS, load_endpoints
from playground.services.json_events import JsonEvents
from playground.services.keys import keys_path, known_secrets
from playground.services.recordings import Recorder, shipped_recordings
from playground.services.references import models_of, open_reference, read_reference
from playground.services.settings import Settings, load_settings, save_setting, settings_path
from tests.fakes.hosted_api import FakeApi, fake_api

PLANTED = "sk-planted-0123456789abcdef"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS.values():
        for variable in (*provider.variables, provider.address_variable or "NONE"):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("BOX_KEY", PLANTED)


def written(text: str) -> Settings:
    path = settings_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    found, errors = load_settings()
    assert not errors
    return found


def files_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def two_boxes(fake: FakeApi, more: str = "") -> Settings:
    """`openai` and `anthropic` are left alone; `box` and `claude` are the fake's two sides."""
    return written(
        f"""
        [endpoints.box]
        base_url = "{fake.openai_url}"
        api_key = "${{BOX_KEY}}"
        headers = {{ "X-Also" = "${{BOX_KEY}}" }}
        [endpoints.claude]
        api = "anthropic"
        base_url = "{fake.anthropic_url}"
        api_key = "${{BOX_KEY}}"
        {more}
        """
    )


@asynccontextmanager
async def opened(text: str, settings: Settings) -> AsyncIterator[Backend]:
    before = asyncio.all_tasks()
    backend = await open_reference(read_reference(text, settings), settings)
    try:
        yield backend
    finally:
        await backend.close()
        left = {task for task in asyncio.all_tasks() - before if "FakeApi" not in repr(task.get_coro())}
        if left:  # a generator that was not read to its end is closed by a task of asyncio's own
            _, left = await asyncio.wait(left, timeout=10)
        assert not left


async def answer(backend: Backend) -> list[Event]:
    events: list[Event] = []
    await backend.generate(Session().send("hello"), events.append)
    return events


@pytest.mark.parametrize("name", ["box", "claude"])
async def test_a_hosted_model_answers_after_visible_retries(name: str) -> None:
    async with fake_api() as fake:
        settings = two_boxes(fake)
        async with opened(f"{name}/any:429now*2", settings) as backend:
            events = await answer(backend)
        assert {request.headers.get("authorization") for request in fake.requests} == {f"Bearer {PLANTED}"}
        assert len(await models_of(load_endpoints(settings)[name], settings)) == 2
    assert [event.attempt for event in events if isinstance(event, Retrying)] == [1, 2]
    assert isinstance(events[-1], Finished)
    assert events[-1].reason is StopReason.STOP


@pytest.mark.parametrize(("name", "other"), [("box", "claude"), ("claude", "box")])
async def test_the_fallback_of_the_settings_takes_over(name: str, other: str) -> None:
    async with fake_api() as fake:
        settings = two_boxes(fake, f'[hosted]\nfallback = "{other}/fake-1"\n')
        async with opened(f"{name}/any:529", settings) as backend:
            events = await answer(backend)
    assert any(isinstance(event, FellBack) for event in events)
    assert isinstance(events[-1], Finished)


async def test_the_fallback_of_a_pane_stands_before_that_of_the_settings() -> None:
    async with fake_api() as fake:
        settings = two_boxes(fake, '[hosted]\nfallback = "claude/fake-1"\n')
        backend = await open_reference(ModelRef("box", "any:529"), settings, fallback="box/fake-2")
        events = await answer(backend)
        await backend.close()
    assert [event.card.short_name for event in events if isinstance(event, FellBack)] == ["fake-2"]


async def test_a_fallback_that_is_the_model_itself_or_none_at_all() -> None:
    async with fake_api() as fake:
        for fallback, said in (("box/any:529", "overloaded"), ("nowhere/x", "nowhere/x is no model on a server")):
            settings = two_boxes(fake, f'[hosted]\nattempts = 1\nfallback = "{fallback}"\n')
            async with opened("box/any:529", settings) as backend:
                events = await answer(backend)
            assert isinstance(events[-1], Failed)
            assert said in str(events[-1].problem)


async def test_esc_during_a_real_countdown() -> None:
    async with fake_api() as fake:
        settings = two_boxes(fake)
        async with opened("box/any:429", settings) as backend:
            waiting, events = asyncio.Event(), list[Event]()

            def sink(event: Event) -> None:
                events.append(event)
                if isinstance(event, Retrying):
                    waiting.set()

            request = Session().send("hello")
            task = asyncio.create_task(backend.generate(request, sink))
            await waiting.wait()
            await backend.stop(request.stream)
            await task
    assert isinstance(events[-1], Finished)
    assert events[-1].reason is StopReason.CANCELLED


async def test_without_a_key_the_place_for_one_is_named() -> None:
    with pytest.raises(KeyMissing, match=r"There is no key for anthropic.*ANTHROPIC_API_KEY"):
        await open_reference(ModelRef("anthropic", "claude"), Settings())
    with pytest.raises(KeyMissing, match="OPENAI_API_KEY"):
        await models_of(load_endpoints(Settings())["openai"], Settings())


async def test_a_server_on_this_machine_needs_no_key() -> None:
    async with fake_api() as fake:
        settings = written(f'[endpoints.llamacpp]\nbase_url = "{fake.openai_url}"\n')
        async with opened("llamacpp/fake-1", settings) as backend:
            assert isinstance((await answer(backend))[-1], Finished)
        assert "authorization" not in fake.requests[0].headers


async def test_a_recording_is_opened_by_name_and_by_path() -> None:
    path = shipped_recordings()[0]
    for name in (path.stem, str(path)):
        ref = read_reference(f"replay/{name}", Settings())
        backend = await open_reference(ref, Settings(), speed=1e6)
        assert isinstance((await answer(backend))[-1], Finished)
    with pytest.raises(ConfigError, match="There are:"):
        await open_reference(read_reference("replay/none", Settings()), Settings())


@pytest.mark.parametrize("text", ["models/x.gguf", "openai/x.gguf", "tiny", "nobody/model", ""])
async def test_what_is_no_hosted_model(text: str) -> None:
    ref = read_reference(text, Settings())
    assert ref.endpoint == ""
    with pytest.raises(BadInput, match="no model on a server"):
        await open_reference(ref, Settings())


@pytest.mark.parametrize("name", ["box", "claude"])
@pytest.mark.parametrize("fault", ["echo", "ok", "429long", "529", "eof"])
async def test_a_planted_key_is_in_nothing_that_a_run_leaves(name: str, fault: str, sealed: Path) -> None:
    async with fake_api() as fake:
        settings = two_boxes(fake, "[hosted]\nattempts = 1\n")
        texts = [repr(settings)]
        async with opened(f"{name}/any:{fault}", settings) as backend:
            request = Session().send("hello")
            events: list[Event] = []
            secrets = known_secrets(settings)
            with Recorder(events.append, sealed / "run.jsonl", backend, request, secrets) as recorder:
                await backend.generate(request, recorder)
            assert any(PLANTED in str(received.headers) for received in fake.requests), "else nothing was at stake"
            texts += [repr(backend.card), repr(vars(backend)), repr(backend.capabilities)]
        convert = JsonEvents(None).convert
        texts += [repr(events), *(str(msgspec.json.encode(convert(event))) for event in events)]
        save_setting(settings_path(), "theme", "x")
    assert not [text for text in texts if PLANTED in text]
    assert not keys_path().exists()
    left = files_below(sealed)
    assert {settings_path(), sealed / "run.jsonl"} <= set(left)
    assert not [path for path, raw in left.items() if PLANTED.encode() in raw]
