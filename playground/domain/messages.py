"""What is sent to a model: a conversation, or raw text."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from playground.domain.sampling import SamplingParams


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class Message(msgspec.Struct, frozen=True):
    """One message of a conversation."""

    role: Role
    content: str


class ChatPrompt(msgspec.Struct, frozen=True, tag="chat"):
    """A conversation, to be put through the model's chat template."""

    messages: tuple[Message, ...]


class RawPrompt(msgspec.Struct, frozen=True, tag="raw"):
    """Text sent as it is: special tokens are parsed, no template is applied."""

    text: str


Prompt = ChatPrompt | RawPrompt


class CallOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What hosted models take beside sampling parameters or instead of them; `Capabilities` lists the values."""

    effort: str = ""
    """How hard the model works at the answer, e.g. "low", "high"; empty: the model's default."""
    thinking: str = ""
    """Whether it thinks before it answers, e.g. "off", "adaptive"; empty: the model's default."""
    cache: Literal["off", "5m", "1h"] = "off"
    """How long the provider is asked to keep the prompt for the next call."""
    legacy_sampling: bool = False
    """Send temperature, top-p and top-k to a model whose current API has none."""


class GenerationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one call needs; a call has no memory, so the whole context is in here."""

    stream: int
    """Id the events of this run carry; unique among the runs of one backend."""
    prompt: Prompt
    params: SamplingParams
    options: CallOptions = CallOptions()
    reply_ids: tuple[int, ...] = ()
    """Token ids with which the reply already begins (continuing a reply, or a fork)."""
    reply_text: str = ""
    """The same beginning as text, for backends that do not take ids."""
    watch: tuple[str, ...] = ()
    """Words, or "#id", whose probability is told with each token; `Started.watching` says which tokens they are."""
    changes: tuple[tuple[int, SamplingParams], ...] = ()
    """Parameters that come into force on the way, as in an earlier run that is run again: (index of the first token
    drawn with them, what they are), in the order of the indexes. Only backends with `live_params` take them."""
    submitted_at: float = 0.0
    """`time.monotonic()` at the moment the person pressed send; the start of TTFT."""


class PromptParts(msgspec.Struct, frozen=True):
    """How many tokens of a prompt belong to what. Their sum is the length of the prompt."""

    system: int = 0
    history: int = 0
    """Earlier turns, and the beginning of a reply that is continued."""
    prompt: int = 0
    """The last user message and what the template puts around it."""

    @property
    def total(self) -> int:
        """Length of the whole prompt in tokens."""
        return self.system + self.history + self.prompt


class PromptView(msgspec.Struct, frozen=True):
    """The exact prompt a model gets, special tokens included."""

    text: str
    ids: tuple[int, ...]
    pieces: tuple[bytes, ...]
    special: tuple[bool, ...]
    """For each id: is it a control token?"""
    parts: PromptParts
    note: str = ""
    """What the template could not take and what was done about it; usually empty."""
