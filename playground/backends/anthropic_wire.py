"""The events of a stream of Anthropic's messages API, as they are on the wire.

Everything a server may leave out is optional: others than Anthropic speak this API too.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec


class CacheCreation(msgspec.Struct):
    """Which of the tokens that were written to the cache stay how long."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(msgspec.Struct):
    """What the output was spent on."""

    thinking_tokens: int | None = None


class WireUsage(msgspec.Struct):
    """Counts so far. `input_tokens` are those of the prompt that have to do with no cache."""

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class _Message(msgspec.Struct):
    usage: WireUsage | None = None


class MessageStart(msgspec.Struct):
    """`message_start`: the prompt is counted."""

    message: _Message


class Piece(msgspec.Struct):
    """A block as it begins, or what is added to one."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None


class BlockStart(msgspec.Struct):
    """`content_block_start`; its text is usually empty."""

    content_block: Piece


class BlockDelta(msgspec.Struct):
    """`content_block_delta`: more text, more thinking, or something that is not drawn."""

    delta: Piece


class StopDetails(msgspec.Struct):
    """Why the provider refused."""

    category: str | None = None
    explanation: str | None = None


class _Ending(msgspec.Struct):
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class MessageDelta(msgspec.Struct):
    """`message_delta`: why it ended, and the final counts."""

    delta: _Ending = msgspec.field(default_factory=_Ending)
    usage: WireUsage | None = None


class MessageStop(msgspec.Struct):
    """`message_stop`: the reply is complete."""


class ErrorEvent(msgspec.Struct):
    """`error`: the server gives up; `hosted_texts.error_in` reads the body."""

    body: Any


WireEvent = MessageStart | BlockStart | BlockDelta | MessageDelta | MessageStop | ErrorEvent


class _Kind(msgspec.Struct):
    type: str = ""


_KIND: Final = msgspec.json.Decoder(_Kind)
_SHAPES: Final[dict[str, msgspec.json.Decoder[WireEvent]]] = {
    "message_start": msgspec.json.Decoder(MessageStart),
    "content_block_start": msgspec.json.Decoder(BlockStart),
    "content_block_delta": msgspec.json.Decoder(BlockDelta),
    "message_delta": msgspec.json.Decoder(MessageDelta),
    "message_stop": msgspec.json.Decoder(MessageStop),
}
_DONE: Final = "[DONE]"
"""How servers that also speak OpenAI's API may end a stream."""


def read_event(data: bytes) -> WireEvent | None:
    """The event in these bytes; None for one that says nothing, such as a ping, or of a kind that is not known.

    Raises ValueError when it cannot be read.
    """
    text = data.decode()  # what is not UTF-8 is found even where nobody looks
    if text == _DONE:
        return None
    kind = _KIND.decode(text).type
    if kind == "error":
        return ErrorEvent(msgspec.json.decode(text))
    shape = _SHAPES.get(kind)
    return None if shape is None else shape.decode(text)
