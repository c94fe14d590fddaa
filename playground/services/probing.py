"""Asks llama.cpp something that needs no loaded model, in a process that ends with the answer, or stays."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from playground.domain.errors import RunFailed, as_error
from playground.domain.messages import Prompt
from playground.engine.probe import (
    LENGTH,
    Answer,
    Build,
    BuildWanted,
    PromptsCounted,
    PromptsWanted,
    Question,
    TokensFound,
    TokensWanted,
    Unanswered,
)

_COMMAND: Final = (sys.executable, "-P", "-m", "playground.engine.probe")
_LIMIT_S: Final = 120.0
_SAID: Final = 400
"""Characters of the process's last words that go into an error."""


async def ask_tokens(question: TokensWanted) -> TokensFound:
    """How a model splits a text. Raises ModelFileError, and RunFailed when the process breaks."""
    answer = await _ask(question)
    assert isinstance(answer, TokensFound)
    return answer


async def count_prompts(path: str, prompts: Sequence[Prompt]) -> tuple[int, ...]:
    """Tokens of each prompt as the model in a file gets it, of which only the vocabulary is read.

    Raises ModelFileError, TemplateError when its template refuses one, and RunFailed when the process breaks.
    """
    answer = await _ask(PromptsWanted(path, tuple(prompts)))
    assert isinstance(answer, PromptsCounted)
    return answer.tokens


async def ask_build() -> Build:
    """Which llama.cpp is installed. Raises RunFailed when it cannot be loaded."""
    answer = await _ask(BuildWanted())
    assert isinstance(answer, Build)
    return answer


class Prober:
    """Asks again and again, of one process that keeps the vocabularies it has read. Belongs to one event loop.

    It is started with the first question. What nobody waits for any more is answered all the same, and then the newest.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._under_way: asyncio.Task[Answer] | None = None
        self._broken: dict[str, RunFailed] = {}
        """Files on which the process broke: they are not tried again."""

    async def tokens(self, question: TokensWanted) -> TokensFound:
        """How a model splits a text. Raises as `ask_tokens` does."""
        async with self._turn:
            if self._under_way is not None:
                await asyncio.wait({self._under_way})
            if question.path in self._broken:
                raise self._broken[question.path]
            self._under_way = asyncio.create_task(self._exchange(question), name="tokens")
            try:
                answer = await asyncio.shield(self._under_way)
            except RunFailed as error:
                self._broken[question.path] = error
                raise
        assert isinstance(answer, TokensFound)
        return answer

    async def close(self) -> None:
        """End the process."""
        if self._under_way is not None and not self._under_way.done():
            self._under_way.cancel()
            await asyncio.wait({self._under_way})
        await self._end()

    async def _exchange(self, question: Question) -> Answer:
        if self._process is None:
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(
                *_COMMAND, "--stay", stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
            )
        sink, source = self._process.stdin, self._process.stdout
        assert sink is not None
        assert source is not None
        body = msgspec.msgpack.encode(question)
        try:
            async with asyncio.timeout(_LIMIT_S):
                sink.write(LENGTH.pack(len(body)) + body)
                await sink.drain()
                (size,) = LENGTH.unpack(await source.readexactly(LENGTH.size))
                answer: Answer = msgspec.msgpack.decode(await source.readexactly(size), type=Answer)
        except TimeoutError as error:
            await self._end()
            raise _too_late() from error
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError) as error:
            await self._end()
            raise _no_answer(None, "") from error
        return _answered(answer)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _ask(question: Question) -> Answer:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*_COMMAND, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(_LIMIT_S):
            out, said = await process.communicate(msgspec.msgpack.encode(question))
    except TimeoutError as error:
        raise _too_late() from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        answer: Answer = msgspec.msgpack.decode(out, type=Answer)
    except msgspec.DecodeError as error:
        raise _no_answer(process.returncode, said.decode("utf-8", "replace")[-_SAID:]) from error
    return _answered(answer)


def _answered(answer: Answer) -> Answer:
    if isinstance(answer, Unanswered):
        raise as_error(answer.problem)
    return answer


def _too_late() -> RunFailed:
    return RunFailed(f"llama.cpp did not answer within {_LIMIT_S:.0f} seconds.", "Try again.")


def _no_answer(status: int | None, said: str) -> RunFailed:
    ended = "" if status is None else f" (status {status})"
    hint = "The model file, or the installation of llama-cpp-python, is broken."
    return RunFailed(f"llama.cpp ended without an answer{ended}.", hint, said)
