"""Whether a prompt and its reply fit a context window, and what can be left out when they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from playground.domain.messages import Message, Prompt, PromptParts, Role
from playground.domain.sampling import UNLIMITED

_NEARBY: Final = 40
"""Characters within which a cut looks for white space, so that it does not go through a word."""


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of a request against the context window of its model."""

    parts: PromptParts
    reply: int
    """Tokens set aside for the reply; 0 when it has no limit and takes what is left."""
    window: int | None
    """None: nobody told."""
    exact: bool
    """The length of the prompt was counted by the model's own tokenizer; otherwise all figures are estimates."""
    parts_exact: bool
    """So was each part of it."""
    method: str
    """See `TokenCount.method`."""

    @property
    def free(self) -> int | None:
        """Tokens that nothing takes; None when the window is unknown."""
        return None if self.window is None else max(0, self.window - self.parts.total - self.reply)

    @property
    def over_by(self) -> int:
        """Tokens too many, prompt and reply together; 0 when they fit, or when the window is unknown."""
        return self._over_by(max(1, self.reply))

    @property
    def prompt_over_by(self) -> int:
        """Tokens too many if the reply were one token: above 0 no server and no engine takes the prompt."""
        return self._over_by(1)

    @property
    def sentence(self) -> str:
        """What does not fit, with the counts; empty when everything does."""
        if not self.over_by or self.window is None:
            return ""
        about, parts = "" if self.exact else "≈", self.parts
        each = "" if self.parts_exact else "≈"
        shares = f"system {each}{parts.system:,}, history {each}{parts.history:,}, message {each}{parts.prompt:,}"
        reply = f", and {self.reply:,} are set aside for the reply" if self.reply else ""
        return (
            f"The prompt has {about}{parts.total:,} tokens ({shares}){reply}: {about}{self.over_by:,} more than the "
            f"context window of {self.window:,} takes."
        )

    def _over_by(self, reply: int) -> int:
        return 0 if self.window is None else max(0, self.parts.total + reply - self.window)


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """A way to make a request fit: offered to the person, never taken without them."""

    kind: Literal["oldest", "middle", "reply"]
    prompt: Prompt
    max_tokens: int
    left_out: str
    """What will be missing, such as "the 4 oldest messages, 1,203 tokens"; empty when nothing had to be left out."""
    fit: Fit
    """The counts of what is left."""


def reply_reserve(max_tokens: int, max_output: int | None) -> int:
    """Tokens to set aside for a reply; 0 when it has no limit of its own."""
    if max_tokens == UNLIMITED:
        return 0
    return max_tokens if max_output is None else min(max_tokens, max_output)


def places_to_begin(messages: Sequence[Message]) -> list[int]:
    """Where a conversation may begin anew: at each user message up to the last, the one it begins with now excluded."""
    spoken = [at for at, message in enumerate(messages) if message.role is not Role.SYSTEM]
    return [at for at in spoken[1:] if messages[at].role is Role.USER]


def without_oldest(messages: Sequence[Message], begin: int) -> tuple[Message, ...]:
    """A conversation that begins at message number `begin`, with every system message it had."""
    return tuple(message for at, message in enumerate(messages) if at >= begin or message.role is Role.SYSTEM)


def longest_message(messages: Sequence[Message]) -> int | None:
    """Number of the longest message, by bytes, system messages excluded; None when there is no other."""
    spoken = [at for at, message in enumerate(messages) if message.role is not Role.SYSTEM]
    return max(spoken, key=lambda at: len(messages[at].content.encode("utf-8", "replace")), default=None)


def marker(tokens: int, *, exact: bool) -> str:
    """What stands in the place of a cut."""
    return f"[… {'' if exact else '≈'}{tokens:,} tokens left out …]"


def cut_middle(text: str, kept: int) -> tuple[str, str, str]:
    """A text's beginning, middle and end, beginning and end together at most `kept` characters, between words."""
    head_end, tail_start = (kept + 1) // 2, len(text) - kept // 2
    head_end = _space_before(text, head_end)
    tail_start = max(head_end, _space_after(text, tail_start))
    return text[:head_end], text[head_end:tail_start], text[tail_start:]


def cut_beginning(text: str, kept: int) -> tuple[str, str]:
    """A text in two, the second part at most `kept` characters and beginning with a word."""
    start = _space_after(text, len(text) - kept)
    return text[:start], text[start:]


def _space_before(text: str, at: int) -> int:
    return next((place for place in range(at, max(0, at - _NEARBY), -1) if text[place - 1].isspace()), at)


def _space_after(text: str, at: int) -> int:
    return next((place for place in range(at, min(len(text), at + _NEARBY)) if text[place].isspace()), at)
