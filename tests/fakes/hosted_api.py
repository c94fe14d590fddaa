"""A fake of the Anthropic and OpenAI APIs over a real socket; the name of the model picks what goes wrong.

`async with fake_api() as fake:` gives a server on a free port of the loopback. The model `any:FAULT` meets the fault,
`any:FAULT*N` only the first N times it is asked. Faults before the stream are in `hosted_faults.REFUSALS`; these are of
the stream itself, after three words unless something else is said:

    ok               six words
    rst, drop        the connection is reset, or closed inside the chunked body
    eof              the body ends properly, without the closing event
    stall            nothing more comes until `fake.let_go` is set
    slow             the head of the answer waits for `fake.let_go`; `slowfirst`: the head comes, the first event waits
    endless          words without end
    overloaded       an error event in the stream
    badjson, badutf8 an event that cannot be read
    huge             an event of 5 MB; the words go on behind it
    unknown          events of kinds nobody knows, comments and empty lines; the words go on behind them
    pieces           every byte of the answer, in pieces of seven
    empty            200 and not one byte
    ansi             words full of terminal escapes and markup
    thinking         thinks in two pieces before the words
    stop=REASON      ends with this stop reason
    nologprobs       leaves out the log-probabilities it was asked for (OpenAI)
    seeded           the words in an order that the seed picks; without a seed in any (OpenAI)
    another          another third word (OpenAI)
    merged           entries of log-probabilities that span several tokens (OpenAI)
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import unquote

from tests.fakes import anthropic_events, openai_events
from tests.fakes.hosted_faults import MID_STREAM, REFUSALS, Script, json_answer, refusal

WORDS_BEFORE_FAULT = 3
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_1\r\ntransfer-encoding: chunked\r\n\r\n"


class Received(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    """Names in small letters."""
    body: dict[str, Any]


class FakeApi:
    """Both APIs on one port."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Received] = []
        self.gap_s = 0.0
        """Seconds between two events of a stream."""
        self.let_go = asyncio.Event()
        """Lets stalled and slow answers go on."""
        self.reached = asyncio.Event()
        """Is set when the place of a fault in a stream is reached, or an answer waits for `let_go`."""
        self.models: tuple[str, ...] = ("fake-1", "fake-2")
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = 0
        self._changed = asyncio.Condition()
        self._asked: Counter[str] = Counter()

    @property
    def anthropic_url(self) -> str:
        """Base address as the Anthropic API has it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        """Base address as the OpenAI API has it."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def open(self) -> int:
        """Connections that stand."""
        return self._open

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """Bodies of the requests that had one."""
        return [request.body for request in self.requests if request.body]

    async def until_open(self, connections: int) -> None:
        """Wait until this many connections stand."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._open == connections)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        await self._count(1)
        try:
            while await self._serve(Connection(self, reader, writer)):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)
            await self._count(-1)

    async def close(self) -> None:
        """End what is still being served."""
        for task in list(self._tasks):
            task.cancel()
        await self.until_open(0)

    async def _count(self, change: int) -> None:
        async with self._changed:
            self._open += change
            self._changed.notify_all()

    async def _serve(self, to: Connection) -> bool:
        """Answer one request; False when the connection ends with it."""
        request = await to.receive()
        self.requests.append(request)
        is_anthropic = "anthropic-version" in request.headers or "/messages" in request.path
        if request.method == "GET":
            return await to.answer(self._about_models(request.path, is_anthropic))
        fault = self._fault(str(request.body.get("model", "")))
        refused = refusal(fault, request.body, request.headers, is_anthropic)
        if refused is not None:
            return await to.answer(refused)
        if request.path.endswith("/count_tokens"):
            return await to.answer(json_answer(200, {"input_tokens": 42}))
        if is_anthropic:
            script = anthropic_events.script(request.body, fault)
        elif request.path.endswith(("/chat/completions", "/completions")):
            script = openai_events.script(request.path, request.body, fault)
        else:
            return await to.answer(json_answer(404, {"error": {"message": "no such route"}}))
        return await to.stream(script, fault)

    def _about_models(self, path: str, is_anthropic: bool) -> bytes:
        """The list of models, or what there is about one of them."""
        if path == "/v1/models":
            return json_answer(200, (anthropic_events if is_anthropic else openai_events).models(self.models))
        name = unquote(path.removeprefix("/v1/models/"))
        if not is_anthropic or name == path:
            return json_answer(404, {})
        if name in self.models or ":" in name:
            return json_answer(200, anthropic_events.model(name))
        return json_answer(404, {"type": "error", "error": {"type": "not_found_error", "message": f"model: {name}"}})

    def _fault(self, model: str) -> str:
        fault = model.partition(":")[2] or "ok"
        self._asked[model] += 1
        times = re.fullmatch(r"(.+)\*(\d+)", fault)
        if times is None:
            return fault
        return times[1] if self._asked[model] <= int(times[2]) else "ok"


class Connection:
    """One request and its answer."""

    def __init__(self, fake: FakeApi, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.fake = fake
        self._reader = reader
        self._writer = writer

    async def receive(self) -> Received:
        """Read a request. Raises IncompleteReadError when there is none any more."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        path, _, query = target.partition("?")
        return Received(method, path, query, headers, json.loads(body or b"{}"))

    async def answer(self, answer: bytes) -> bool:
        """Send a whole answer."""
        self._writer.write(answer)
        await self._writer.drain()
        return True

    async def stream(self, script: Script, fault: str) -> bool:
        """Send a stream with its fault; False when the connection is over."""
        if fault == "slow":
            await self._wait()
        self._writer.write(_HEAD)
        if fault == "empty":
            return await self.answer(b"0\r\n\r\n")
        if fault == "slowfirst":
            await self._wait()
        await self._send(script.opening + script.words[:WORDS_BEFORE_FAULT], fault)
        if not await self._go_wrong(script, fault):
            return fault in ("eof", "overloaded")
        await self._send(script.words[WORDS_BEFORE_FAULT:] + script.closing, fault)
        return await self.answer(b"0\r\n\r\n")

    async def _go_wrong(self, script: Script, fault: str) -> bool:
        """Do what the fault does in the middle; True when the stream goes on behind it."""
        if fault in MID_STREAM:
            self.fake.reached.set()
        if fault == "rst":
            await self._writer.drain()
            linger = struct.pack("ii", 1, 0)
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._writer.transport.abort()
        elif fault == "eof":
            await self.answer(b"0\r\n\r\n")
        elif fault == "overloaded":
            await self._send([script.overloaded], fault)
            await self.answer(b"0\r\n\r\n")
        elif fault == "stall":
            await self._wait()
        while fault == "endless":
            await self._send(script.words[:1], fault)
            await asyncio.sleep(0)
        if extra := script.extras.get(fault):
            await self._send([extra], fault)
        return fault not in ("rst", "drop", "eof", "overloaded")

    async def _send(self, events: list[bytes], fault: str) -> None:
        for event in events:
            size = 7 if fault == "pieces" else len(event)
            for at in range(0, len(event), size):
                piece = event[at : at + size]
                self._writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await self._writer.drain()
                if size < len(event):
                    await asyncio.sleep(0)
            await asyncio.sleep(self.fake.gap_s)

    async def _wait(self) -> None:
        """Wait for `let_go`; raises ConnectionResetError when the other side hangs up before."""
        await self._writer.drain()
        self.fake.reached.set()
        let_go = asyncio.ensure_future(self.fake.let_go.wait())
        hung_up = asyncio.ensure_future(self._reader.read(1))
        try:
            await asyncio.wait((let_go, hung_up), return_when=asyncio.FIRST_COMPLETED)
            if hung_up.done():
                raise ConnectionResetError
        finally:
            let_go.cancel()
            hung_up.cancel()
            await asyncio.gather(let_go, hung_up, return_exceptions=True)


@asynccontextmanager
async def fake_api() -> AsyncIterator[FakeApi]:
    """A fake on a free port of the loopback."""
    fake = FakeApi()
    server = await asyncio.start_server(fake.connected, "127.0.0.1", 0, limit=64 << 20)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        await fake.close()
        await server.wait_closed()


__all__ = ["REFUSALS", "FakeApi", "Received", "fake_api"]
