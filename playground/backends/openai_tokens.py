"""Counting tokens and looking at the exact prompt, on the servers that have routes for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from playground.backends.hosted_errors import bad_reply
from playground.backends.openai_client import OpenAIClient
from playground.backends.openai_request import chat_messages
from playground.backends.openai_servers import ServerFacts, ServerKind, server_root
from playground.domain.errors import BadReply, RequestRefused, Unsupported
from playground.domain.messages import ChatPrompt, Message, Prompt, PromptParts, PromptView, Role
from playground.domain.usage import TokenCount

_counted: Final = partial(TokenCount, exact=True, method="server")
_NAME: Final = re.compile(rb"<[^\s<>]+>|\[[A-Z_/]+\]")
"""How special tokens are called."""


async def count_text(client: OpenAIClient, facts: ServerFacts, text: str) -> TokenCount:
    """Tokens of a text by itself. Raises Unsupported, HostedError."""
    match facts.kind:
        case ServerKind.LLAMA_CPP:
            return _counted(len(await _tokenize(client, text)))
        case ServerKind.VLLM:
            body = {"model": facts.model, "prompt": text, "add_special_tokens": False}
            return await _vllm_count(client, body)
        case _:
            raise _unsupported(client, facts, "does not count tokens")


async def count_prompt(client: OpenAIClient, facts: ServerFacts, prompt: Prompt) -> TokenCount:
    """Tokens of a whole prompt. Raises Unsupported, HostedError, RequestRefused."""
    match facts.kind:
        case ServerKind.LLAMA_CPP if isinstance(prompt, ChatPrompt):
            return await _llama_cpp_chat(client, prompt)
        case ServerKind.LLAMA_CPP:
            return _counted(len(await _tokenize(client, await _rendered(client, prompt), begin=True)))
        case ServerKind.VLLM if isinstance(prompt, ChatPrompt):
            return await _vllm_count(client, {"model": facts.model, "messages": chat_messages(prompt)})
        case ServerKind.VLLM:
            return await _vllm_count(client, {"model": facts.model, "prompt": await _rendered(client, prompt)})
        case _:
            raise _unsupported(client, facts, "does not count tokens")


async def view_prompt(
    client: OpenAIClient, facts: ServerFacts, prompt: Prompt, reply_ids: Sequence[int] = ()
) -> PromptView:
    """The prompt with its special tokens. Raises Unsupported, HostedError, RequestRefused."""
    if facts.kind is not ServerKind.LLAMA_CPP:
        raise _unsupported(client, facts, "does not show its exact prompt")
    if reply_ids:
        raise _unsupported(client, facts, "does not show a reply that was begun")
    text = await _rendered(client, prompt)
    tokens = await _tokenize(client, text, begin=True)
    # Nobody says which tokens are special, but they are not found when nobody looks for them.
    plain = {token["id"] for token in await _tokenize(client, text, special=False)}
    ids = tuple(int(token["id"]) for token in tokens)
    pieces = tuple(_piece(token["piece"]) for token in tokens)
    return PromptView(
        text=b"".join(pieces).decode("utf-8", "replace"),
        ids=ids,
        pieces=pieces,
        special=tuple(
            token not in plain and _NAME.fullmatch(piece) is not None for token, piece in zip(ids, pieces, strict=True)
        ),
        parts=_parts(text, prompt, pieces),
    )


async def _llama_cpp_chat(client: OpenAIClient, prompt: ChatPrompt) -> TokenCount:
    """By one route on newer servers, by two on older ones."""
    try:
        answer = await client.ask(
            "POST", client.url("/chat/completions/input_tokens"), {"messages": chat_messages(prompt)}
        )
    except RequestRefused:
        return _counted(len(await _tokenize(client, await _rendered(client, prompt), begin=True)))
    return _counted(_number(client, answer, "input_tokens"))


async def _vllm_count(client: OpenAIClient, body: dict[str, Any]) -> TokenCount:
    answer = await client.ask("POST", f"{server_root(client.endpoint)}/tokenize", body)
    return _counted(_number(client, answer, "count"))


async def _rendered(client: OpenAIClient, prompt: Prompt) -> str:
    """The text llama.cpp makes of a prompt."""
    if not isinstance(prompt, ChatPrompt):
        return prompt.text
    url = f"{server_root(client.endpoint)}/apply-template"
    answer = await client.ask("POST", url, {"messages": chat_messages(prompt)})
    text = answer.get("prompt") if isinstance(answer, dict) else None
    if not isinstance(text, str):
        raise _strange(client)
    return text


async def _tokenize(
    client: OpenAIClient, text: str, *, begin: bool = False, special: bool = True
) -> list[dict[str, Any]]:
    """llama.cpp's tokens of a text; `begin`: with the token a whole prompt begins with."""
    body = {"content": text, "add_special": begin, "parse_special": special, "with_pieces": True}
    answer = await client.ask("POST", f"{server_root(client.endpoint)}/tokenize", body)
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if not isinstance(tokens, list) or not all(isinstance(token, dict) and "id" in token for token in tokens):
        raise _strange(client)
    return tokens


def _piece(piece: object) -> bytes:
    """A piece is text, or a list of bytes where it is no whole character."""
    return bytes(piece) if isinstance(piece, list) else str(piece).encode("utf-8", "replace")


def _parts(text: str, prompt: Prompt, pieces: Sequence[bytes]) -> PromptParts:
    """Which tokens are the system's, and which were said before the last message, by where the texts stand."""
    messages = prompt.messages if isinstance(prompt, ChatPrompt) else ()
    begins = _begins(text, messages)
    spoken = [at for at, message in zip(begins, messages, strict=False) if message.role is not Role.SYSTEM]
    if not spoken:
        return PromptParts(prompt=len(pieces))
    has_system = messages[0].role is Role.SYSTEM
    system = _tokens_before(text, spoken[0], pieces) if has_system else 0
    earlier = _tokens_before(text, spoken[-1], pieces) if len(spoken) > 1 else system
    return PromptParts(system=system, history=earlier - system, prompt=len(pieces) - earlier)


def _begins(text: str, messages: Sequence[Message]) -> list[int]:
    """Where each message stands in the rendered text; empty when one is not there as it was written."""
    begins: list[int] = []
    cursor = 0
    for message in messages:
        at = text.find(message.content.strip(), cursor)
        if at < 0:
            return []
        begins.append(at)
        cursor = at + len(message.content.strip())
    return begins


def _tokens_before(text: str, offset: int, pieces: Sequence[bytes]) -> int:
    """How many tokens end at or before a place in the text."""
    surplus = sum(map(len, pieces)) - len(text.encode("utf-8", "replace"))
    wanted = len(text[:offset].encode("utf-8", "replace")) + max(0, surplus)
    length = 0
    for count, piece in enumerate(pieces):
        length += len(piece)
        if length > wanted:
            return count
    return len(pieces)


def _number(client: OpenAIClient, answer: object, name: str) -> int:
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, int):
        raise _strange(client)
    return value


def _strange(client: OpenAIClient) -> BadReply:
    return bad_reply(client.endpoint, "an answer of another shape than expected", began=False)


def _unsupported(client: OpenAIClient, facts: ServerFacts, what: str) -> Unsupported:
    server = client.endpoint.name if facts.kind is ServerKind.OTHER else f"{client.endpoint.name} ({facts.kind})"
    return Unsupported(f"{server} {what}.")
