"""Counting tokens: who is asked, what is estimated, and that nothing is ever downloaded behind one's back."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import importlib.util
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from subprocess import run

import pytest

from playground.backends.base import Backend
from playground.domain.endpoints import Endpoint, is_loopback
from playground.domain.errors import ServerUnreachable, Unsupported
from playground.domain.messages import ChatPrompt, Message, RawPrompt, Role
from playground.domain.models import ModelCard
from playground.domain.usage import TokenCount
from playground.services.counting import TokenCounter
from playground.services.paths import user_cache_dir
from playground.services.tokenizers import SOURCE, Vocabularies, yardstick_for
from tests.services.counted_backend import HOSTED, CountedBackend

REMOTE = {"there": Endpoint(name="there", api="openai", base_url="https://llm.example.org/v1")}
NEAR = {"there": Endpoint(name="there", api="openai", base_url="http://[::1]:8080/v1")}
ASKED = ChatPrompt((Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "How are you today, my dear friend?")))
Serve = Callable[[bytes], Awaitable["Source"]]


def card(model: str) -> ModelCard:
    return ModelCard(id=f"there/{model}", short_name=model, provider="there")


def vocabulary(name: str) -> bytes:
    spec = importlib.util.find_spec("bpe_openai")
    assert spec is not None
    assert spec.origin is not None
    return gzip.decompress((Path(spec.origin).parent / "data" / f"{name}.tiktoken.gz").read_bytes())


def cached(folder: Path, name: str, raw: bytes) -> Path:
    """Put a file where tiktoken keeps it."""
    path = folder / hashlib.sha1(f"{SOURCE}/{name}.tiktoken".encode()).hexdigest()
    path.write_bytes(raw)
    return path


class Source:
    """A place vocabularies can be fetched from, on this machine."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.paths: list[str] = []
        self.address = ""
        self.asked = asyncio.Event()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.paths.append(head.split()[1].decode())
        self.asked.set()
        if self.answer:
            writer.write(self.answer)
            await writer.drain()
        else:
            await reader.read()  # until the other side gives up
        writer.close()


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body


@pytest.fixture(autouse=True)
def tiktoken_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """tiktoken's cache, empty; and no proxy of this machine between us and loopback."""
    folder = tmp_path / "tiktoken"
    folder.mkdir()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
    monkeypatch.setenv("NO_PROXY", "*")
    return folder


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[asyncio.Server] = []

    async def start(answer: bytes) -> Source:
        source = Source(answer)
        server = await asyncio.start_server(source.handle, "127.0.0.1", 0)
        servers.append(server)
        source.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return source

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "vocabulary"]


async def test_the_backend_counts_where_it_can_and_once() -> None:
    backend, counter = CountedBackend(), TokenCounter()
    for _ in range(3):
        assert await counter.count_prompt(backend, HOSTED, ASKED) == TokenCount(backend.size(ASKED), True, "server")
        assert await counter.count_text(backend, HOSTED, "abcdef") == TokenCount(2, True, "server")
    assert backend.asked == 2


@pytest.mark.parametrize("backend", [None, CountedBackend()])
async def test_who_cannot_count_is_estimated_by_length_and_marked(backend: CountedBackend | None) -> None:
    if backend is not None:
        backend.error = Unsupported("It does not count.")
    counter = TokenCounter()
    asked: Backend | None = backend
    assert await counter.count_text(asked, HOSTED, "x" * 41) == TokenCount(11, False, "characters")
    assert await counter.count_prompt(asked, HOSTED, RawPrompt("x" * 41)) == TokenCount(11, False, "characters")
    prompt = await counter.count_prompt(asked, HOSTED, ASKED)
    assert (prompt.exact, prompt.method) == (False, "characters")
    assert prompt.tokens > 3 + 9


async def test_a_server_that_fails_is_left_alone_for_a_while() -> None:
    backend, counter = CountedBackend(), TokenCounter()
    backend.error = ServerUnreachable("Nobody is there.")
    for text in ("one", "two", "three"):
        assert not (await counter.count_text(backend, HOSTED, text)).exact
    assert backend.asked == 1


async def test_a_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(CountedBackend):
        async def count_tokens(self, text: str) -> TokenCount:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr("playground.services.counting._SERVER_LIMIT_S", 0.01)
    assert await TokenCounter().count_text(Silent(), HOSTED, "abcdefgh") == TokenCount(2, False, "characters")


async def test_each_key_press_estimates_only_what_is_new() -> None:
    backend, counter = CountedBackend(length=lambda text: 1000 * len(text)), TokenCounter()
    exact = await counter.count_prompt(backend, HOSTED, ASKED)
    typed = ChatPrompt((*ASKED.messages, Message(Role.ASSISTANT, "Fine."), Message(Role.USER, "And then?")))
    estimate = await counter.estimate_prompt(HOSTED, typed)
    assert not estimate.exact
    assert exact.tokens < estimate.tokens < exact.tokens + 30
    other = ModelCard(id="there/model-2", short_name="model-2", provider="there")
    assert (await counter.estimate_prompt(other, typed)).tokens < 100
    assert backend.asked == 1


async def test_parts_add_up_to_the_exact_sum() -> None:
    backend, counter = CountedBackend(), TokenCounter()
    long = ChatPrompt((*ASKED.messages, Message(Role.ASSISTANT, "Fine. " * 40), Message(Role.USER, "And then?")))
    counted = await counter.count_parts(backend, HOSTED, long)
    assert (counted.exact, counted.parts_exact) == (True, False)
    assert counted.parts.total == backend.size(long)
    assert counted.parts.history > counted.parts.prompt > 0 < counted.parts.system
    raw = await counter.count_parts(backend, HOSTED, RawPrompt("abc"))
    assert (raw.parts.prompt, raw.parts.total) == (1, 1)


async def test_tiktoken_counts_what_it_has_a_vocabulary_for(tiktoken_folder: Path) -> None:
    cached(tiktoken_folder, "o200k_base", vocabulary("o200k_base"))
    counter = TokenCounter(REMOTE, Vocabularies("http://127.0.0.1:9"))
    text = "The quick brown fox jumps over the lazy dog."
    assert await counter.count_text(None, card("gpt-4o"), text) == TokenCount(10, False, "tiktoken")
    assert (await counter.count_text(None, card("claude-sonnet-5"), text)).tokens == 15
    assert (await counter.count_text(None, card("claude-haiku-4-5"), text)).tokens == 12
    assert (await counter.count_text(None, card("gpt-4o"), "<|endoftext|>")).tokens > 1
    assert (await counter.count_text(None, card("gpt-4o"), "a \ud83d b")).tokens > 1
    for hostile in (" " * 1_000_000, "^" * 1_000_000):
        assert (await counter.count_text(None, card("gpt-4o"), hostile)).tokens > 1_000
    local = ModelCard(id="/models/x.gguf", short_name="x", provider="local")
    assert (await counter.count_text(None, local, text)).method == "characters"
    assert (await counter.count_prompt(None, card("gpt-4o"), ASKED)).tokens == 3 + (3 + 4) + (9 + 4)


async def test_a_damaged_vocabulary_is_not_used_and_nobody_downloads_another(tiktoken_folder: Path) -> None:
    damaged = cached(tiktoken_folder, "o200k_base", b"AAAA 0\n")
    counter = TokenCounter(NEAR, Vocabularies("http://127.0.0.1:9"))
    assert (await counter.count_text(None, card("gpt-4o"), "abcdefgh")).method == "characters"
    assert damaged.read_bytes() == b"AAAA 0\n", "tiktoken's own loader would have deleted it"


async def test_a_vocabulary_is_fetched_once_in_the_background_and_kept(serve: Serve) -> None:
    source = await serve(ok(vocabulary("cl100k_base")))
    vocabularies = Vocabularies(source.address)
    counter = TokenCounter(REMOTE, vocabularies)
    text = "The quick brown fox jumps over the lazy dog."
    assert (await counter.count_text(None, card("gpt-4"), text)).method == "characters"
    await vocabularies.settle()
    assert await counter.count_text(None, card("gpt-4"), text) == TokenCount(10, False, "tiktoken")
    assert source.paths == ["/cl100k_base.tiktoken"]
    next_session = TokenCounter({}, Vocabularies("http://127.0.0.1:9"))
    assert (await next_session.count_text(None, card("gpt-4"), text)).method == "tiktoken"


@pytest.mark.parametrize(
    "answer", [ok(b"AAAA 0\n"), b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", b"not http\r\n\r\n"]
)
async def test_what_cannot_be_fetched_is_not_there_and_not_tried_again(serve: Serve, answer: bytes) -> None:
    source = await serve(answer)
    vocabularies = Vocabularies(source.address)
    counter = TokenCounter(REMOTE, vocabularies)
    for text in ("one", "two", "three"):
        assert (await counter.count_text(None, card("gpt-4"), text)).method == "characters"
        await vocabularies.settle()
    assert len(source.paths) == 1
    assert not list(user_cache_dir().glob("**/*.tiktoken"))


async def test_for_a_server_on_this_machine_nothing_is_fetched(serve: Serve) -> None:
    source = await serve(ok(b""))
    for endpoints in (NEAR, {}):
        vocabularies = Vocabularies(source.address)
        await TokenCounter(endpoints, vocabularies).count_text(None, card("gpt-4"), "one")
        await vocabularies.settle()
    assert not source.paths


async def test_closing_ends_a_download_that_hangs(serve: Serve) -> None:
    source = await serve(b"")
    counter = TokenCounter(REMOTE, Vocabularies(source.address))
    await counter.count_text(None, card("gpt-4"), "one")
    await source.asked.wait()
    await counter.close()


@pytest.mark.parametrize(
    ("model", "vocabulary_name", "factor"),
    [
        ("openai/gpt-4o-mini", "o200k_base", 1.0),
        ("openai/gpt-4.1", "o200k_base", 1.0),
        ("openai/gpt-4-turbo", "cl100k_base", 1.0),
        ("azure/gpt-35-turbo", "cl100k_base", 1.0),
        ("anthropic/claude-opus-4-6", "o200k_base", 1.2),
        ("anthropic/claude-opus-4-7", "o200k_base", 1.5),
        ("anthropic/claude-3-5-sonnet-20241022", "o200k_base", 1.2),
        ("anthropic/claude-sonnet-4-20250514", "o200k_base", 1.2),
        ("openrouter/anthropic/claude-sonnet-4.5", "o200k_base", 1.2),
        ("anthropic/claude-fable-5-2", "o200k_base", 1.5),
        ("anthropic/claude-mythos-preview", "o200k_base", 1.5),
        ("box/qwen3-8b", "o200k_base", 1.0),
    ],
)
def test_which_vocabulary_comes_nearest(model: str, vocabulary_name: str, factor: float) -> None:
    assert yardstick_for(model) == (vocabulary_name, factor)


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("http://localhost:1", True),
        ("http://api.localhost", True),
        ("http://127.9.9.9/v1", True),
        ("http://[::1]:80", True),
        ("http://0.0.0.0:8080", True),
        ("http://192.168.0.7:8080", False),
        ("https://localhost.example.org", False),
        ("https://api.openai.com/v1", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_which_addresses_are_this_machine(address: str, near: bool) -> None:
    assert is_loopback(address) is near


def test_nothing_slow_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, playground.services.limits, playground.services.counting as c; c.TokenCounter();"
        "sys.exit(' '.join({'tiktoken', 'httpx2', 'anthropic', 'genai_prices', 'numpy'} & set(sys.modules)))"
    )
    assert run([sys.executable, "-c", code], check=False, capture_output=True, text=True).stderr.strip() == ""
