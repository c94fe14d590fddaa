"""A conversation as items of a token view."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from playground.domain.messages import Role
from playground.domain.tokens import TextDecoder, Token
from playground.domain.transcript import Mark, Turn
from playground.widgets.bars import UNKNOWN
from playground.widgets.colour_scale import ColourMode, TokenStyle, level_of_token
from playground.widgets.token_store import Item

_TELLING: Final = re.compile(r"error|fail|assert|abort|exception|invalid|unable|cannot|out of", re.IGNORECASE)

TokenRef = tuple[int, int]
"""Turn id and index of the token in the turn."""


def heading(turn: Turn, name: str, place: tuple[int, int]) -> list[Item]:
    """Who speaks, and which version of what was said this is when there are several."""
    style = TokenStyle.HEADING_USER if turn.role is Role.USER else TokenStyle.HEADING_MODEL
    number, count = place
    versions = [Item(f"  ‹ {number} of {count} ›", TokenStyle.NOTE, None, "")] if count > 1 else []
    return [Item(name, style), *versions, Item("\n", style)]


def user_items(turn: Turn) -> list[Item]:
    """What a person wrote; one item a line, so that a long paste is wrapped piece by piece."""
    return [Item(line, TokenStyle.USER) for line in turn.text.splitlines(keepends=True)]


def token_items(
    turn: Turn, tokens: Sequence[Token], marks: Sequence[Mark], decoder: TextDecoder, mode: ColourMode
) -> Iterator[Item]:
    """Tokens in their colours, with marks where parameters changed."""
    by_place: dict[int, list[str]] = {}
    for mark in marks:
        by_place.setdefault(mark.at, []).append(mark.text)
    for token in tokens:
        for text in by_place.get(token.index, ()):
            yield Item(f"◆ {text} ", TokenStyle.MARK, None, "")
        yield token_item(turn.id, token, decoder, mode)


def token_item(turn_id: int, token: Token, decoder: TextDecoder, mode: ColourMode) -> Item:
    """One token; half a character has no text yet, the token that completes it shows it."""
    ref = (turn_id, token.index)
    if token.special:
        return Item(token.special, TokenStyle.SPECIAL, ref, "")
    return Item(decoder.feed(token.piece), token_style(token, mode), ref)


def token_style(token: Token, mode: ColourMode) -> int:
    """Index of the style a token is drawn in."""
    return TokenStyle.SPECIAL if token.special else level_of_token(token, mode)


def end_note(turn: Turn) -> str:
    """Why a reply ended and what it took; empty while it is written."""
    if turn.problem is not None:
        logged = telling_line(turn.problem.detail)
        return f"✗ {turn.problem}" + (f"\n  {logged}" if logged else "")
    if turn.finished is None:
        return ""
    finished, timings = turn.finished, turn.finished.timings
    reason = finished.reason.sentence
    if finished.stop_string:
        reason += f" {finished.stop_string!r}"
    ttft = f"{timings.ttft_ms:,.0f} ms" if timings.ttft_ms is not None else UNKNOWN
    speed = f"{timings.tokens_per_second:.0f} tok/s" if timings.tokens_per_second is not None else UNKNOWN
    seed = f" · seed {turn.started.seed}" if turn.started and turn.started.seed is not None else ""
    cached = finished.usage.cached_tokens
    reuse = f" · {cached:,} of {finished.usage.prompt_tokens:,} prompt tokens from cache" if cached else ""
    return f"■ {reason} · {finished.usage.completion_tokens:,} tokens · TTFT {ttft} · {speed}{reuse}{seed}"


def telling_line(log: str) -> str:
    """The last line of a log that says what went wrong; empty when none does."""
    lines = [line.strip() for line in log.splitlines()]
    return next((line for line in reversed(lines) if _TELLING.search(line)), "")


def cut_tokens(turn: Turn) -> int:
    """How many tokens at the end belong, at least in part, to a stop string."""
    bytes_left, count = turn.trimmed_bytes, 0
    for token in reversed(turn.tokens):
        if bytes_left <= 0:
            break
        bytes_left -= len(token.piece)
        count += 1
    return count
