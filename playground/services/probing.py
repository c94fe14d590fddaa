"""Asks llama.cpp something that needs no loaded model, in a process that ends with the answer."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import msgspec

from playground.domain.errors import RunFailed, as_error
from playground.engine.probe import Answer, Build, BuildWanted, Question, TokensFound, TokensWanted, Unanswered

_LIMIT_S: Final = 120.0
_SAID: Final = 400
"""Characters of the process's last words that go into an error."""


async def ask_tokens(question: TokensWanted) -> TokensFound:
    """How a model splits a text. Raises ModelFileError, and RunFailed when the process breaks."""
    answer = await _ask(question)
    assert isinstance(answer, TokensFound)
    return answer


async def ask_build() -> Build:
    """Which llama.cpp is installed. Raises RunFailed when it cannot be loaded."""
    answer = await _ask(BuildWanted())
    assert isinstance(answer, Build)
    return answer


async def _ask(question: Question) -> Answer:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "playground.engine.probe"), stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(_LIMIT_S):
            out, said = await process.communicate(msgspec.msgpack.encode(question))
    except TimeoutError as error:
        raise RunFailed(f"llama.cpp did not answer within {_LIMIT_S:.0f} seconds.", "Try again.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        answer: Answer = msgspec.msgpack.decode(out, type=Answer)
    except msgspec.DecodeError as error:
        raise RunFailed(
            f"llama.cpp ended without an answer (status {process.returncode}).",
            "The model file, or the installation of llama-cpp-python, is broken.",
            said.decode("utf-8", "replace")[-_SAID:],
        ) from error
    if isinstance(answer, Unanswered):
        raise as_error(answer.problem)
    return answer
