"""A conversation as items of a token view."""

from __future__ import annotations

import re
from typing import Final

from playground.domain.counts import count_of
from playground.domain.display import display_line
from playground.domain.messages import Role
from playground.domain.tokens import TextDecoder, Token
from playground.domain.transcript import Mark, Turn
from playground.widgets.bars import UNKNOWN
from playground.widgets.colour_scale import GUESSED, ColourMode, TokenStyle, level_of_token
from playground.widgets.status_bar import dollars
from playground.widgets.token_store import Item

_TELLING: Final = re.compile(r"error|fail|assert|abort|exception|invalid|unable|cannot|out of", re.IGNORECASE)

FOLDED: Final = "▸"
UNFOLDED: Final = "▾"

TokenRef = tuple[int, int]
"""Turn id and index of the token in the turn."""


def has_ended(turn: Turn) -> bool:
    """True when nothing more comes of a reply."""
    return turn.finished is not None or turn.problem is not None


def heading(turn: Turn, name: str, place: tuple[int, int]) -> list[Item]:
    """Who speaks, and which version of what was said this is when there are several."""
    style = TokenStyle.HEADING_USER if turn.role is Role.USER else TokenStyle.HEADING_MODEL
    number, count = place
    versions = [Item(f"  ‹ {number} of {count} ›", TokenStyle.NOTE, None, "")] if count > 1 else []
    return [Item(display_line(name), style), *versions, Item("\n", style)]


def user_items(turn: Turn) -> list[Item]:
    """What a person wrote; one item a line, so that a long paste is wrapped piece by piece."""
    return [Item(line, TokenStyle.USER) for line in turn.text.splitlines(keepends=True)]


def note_items(turn: Turn) -> list[Item]:
    """What happened on the way to a reply, a line each."""
    return [Item(f"↻ {display_line(note)}\n", TokenStyle.NOTE, None, "") for note in turn.notes]


def is_thinking(turn: Turn) -> bool:
    """True while the newest that came of a reply is what the model thinks, and not yet what it says."""
    return len(turn.tokens) <= turn.continued_at and not has_ended(turn)


def thinking_items(turn: Turn, unfolded: bool) -> list[Item]:
    """What the model thought before it answered: one line to click on, and the text under it when it is unfolded."""
    live = is_thinking(turn)
    if live and unfolded:
        text = f"{UNFOLDED} thinking …"  # a figure here would mean drawing everything below it with every word
    else:
        seconds = _thinking_seconds(turn)
        words = "thinking … " if live else "thought for "
        text = f"{UNFOLDED if unfolded else FOLDED} {words}{len(turn.thinking):,} characters"
        text += f" · {seconds:,.1f} s" if seconds is not None else ""
    head = Item(f"{text}\n", TokenStyle.NOTE, None, "")
    if not unfolded:
        return [head]
    thought = turn.thinking if live else f"{turn.thinking.rstrip()}\n\n"
    return [head, *(Item(line, TokenStyle.THINKING) for line in thought.splitlines(keepends=True))]


def waiting_item(turn: Turn, waited_s: float) -> Item:
    """What stands for a reply that is held back until it is complete."""
    count = len(turn.tokens) - turn.continued_at
    so_far = f"{count:,} {'token' if count == 1 else 'tokens'} so far"
    return Item(f"waiting … {waited_s:,.1f} s, {so_far}", TokenStyle.NOTE, None, "")


def step_items() -> list[Item]:
    """What stands where a reply waits for its next token."""
    keys = "‖ next token: Space draws one · 1-9 take one · Backspace takes one back · Alt+S lets the reply run"
    return [Item("▯", TokenStyle.MARK, None, ""), Item(f"\n{keys}", TokenStyle.NOTE, None, "")]


def divergence_item() -> Item:
    """The place from which on a reply is not that of the other panes; one word, so that it is never torn apart."""
    return Item("╎≠╎", TokenStyle.DIVERGED, None, "")


OTHERS: Final = "the other panes"


def divergence_note(index: int, others: str = OTHERS) -> str:
    """What that mark means; `others` are the panes that go on differently."""
    return f"≠ parts from {others} at token {index + 1:,}"


def hand_edge(turn: Turn, index: int) -> Item | None:
    """What stands before a candidate that a person took and before a text that a person wrote; behind it, another."""
    here, before = index in turn.by_hand, index - 1 in turn.by_hand
    if here and (not before or _taken(turn, index)):
        return Item("✎", TokenStyle.MARK, None, "")
    if not here and before and index - 2 in turn.by_hand and not _taken(turn, index - 1):
        return Item("▏", TokenStyle.MARK, None, "")
    return None


def _taken(turn: Turn, index: int) -> bool:
    """True for a candidate, which has been through the samplers; false for a text that somebody wrote."""
    return bool(turn.tokens[index].stages)


def mark_item(mark: Mark) -> Item:
    """A place where parameters changed."""
    return Item(f"◆ {display_line(mark.text)} ", TokenStyle.MARK, None, "")


def pieces(token: Token, decoder: TextDecoder) -> list[str]:
    """The texts a token is drawn in: a chunk goes word by word, any other token is one.

    Half a character has no text yet, the token that completes it shows it.
    """
    if token.special:
        return [token.special]
    text = decoder.feed(token.piece)
    if not token.chunk:
        return [text]
    from playground.domain.text_diff import words_of  # its patterns take a while, and not on the way to the first paint

    return words_of(text) or [text]


def token_item(turn_id: int, token: Token, text: str, style: int) -> Item:
    """A token, or a piece of one."""
    return Item(text, style, (turn_id, token.index), "" if token.special else None)


def token_style(token: Token, mode: ColourMode) -> int:
    """Index of the style a token is drawn in."""
    if token.special:
        return TokenStyle.SPECIAL
    return level_of_token(token, mode) + (GUESSED if token.drafted else 0)


def end_note(turn: Turn, *, buffered: bool = False) -> str:
    """Why a reply ended and what it took; empty while it is written.

    Args:
        turn: The reply.
        buffered: Tell what waiting for the whole of it cost, compared with seeing it grow.
    """
    if turn.problem is not None:
        logged = telling_line(turn.problem.detail)
        return f"✗ {display_line(str(turn.problem))}" + (f"\n  {logged}" if logged else "")
    if turn.finished is None:
        return ""
    finished, timings, usage = turn.finished, turn.finished.timings, turn.finished.usage
    reason = finished.reason.sentence
    if finished.stop_string:
        reason += f" {finished.stop_string!r}"
    if finished.detail:
        reason += f": {display_line(finished.detail)}"
    about = "≈" if usage.estimate else ""
    new = usage.completion_tokens
    # A fork counts what it took over like all others who count a reply's tokens, and says what this run wrote.
    forked = 0 < turn.continued_at == len(turn.tokens) - new
    facts = [
        (
            f"{count_of(len(turn.tokens), 'token')}, {new:,} of them new"
            if forked
            else f"{about}{count_of(new, 'token')}"
        )
        + (f", {usage.thinking_tokens:,} of them thinking" if usage.thinking_tokens else ""),
        f"TTFT {_milliseconds(timings.ttft_ms)}",
        f"{UNKNOWN if timings.tokens_per_second is None else f'{timings.tokens_per_second:.0f}'} tok/s",
    ]
    if buffered and timings.ttft_ms is not None and timings.total_ms is not None:
        facts[1] = f"seen whole after {timings.total_ms / 1000:,.1f} s, growing from {timings.ttft_ms / 1000:,.1f} s"
    if usage.drafted_tokens:
        drafted, right = usage.drafted_tokens, usage.accepted_tokens or 0
        facts.append(f"guessed ahead {drafted:,}, {right:,} right: {right / drafted:.0%}")
    elif usage.drafted_tokens is not None:
        facts.append("nothing to guess ahead")
    if usage.cost:
        facts.append(about + dollars(usage.cost))
    if usage.cached_tokens:
        whole = UNKNOWN if usage.prompt_tokens is None else f"{usage.prompt_tokens:,}"
        facts.append(f"{usage.cached_tokens:,} of {whole} prompt tokens from cache")
    if turn.started is not None and turn.started.seed is not None:
        facts.append(f"seed {turn.started.seed}")
    return " · ".join([f"■ {reason}", *facts])


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


def _thinking_seconds(turn: Turn) -> float | None:
    """How long the model thought, as far as anything came that tells."""
    if turn.thinking_ms is None:
        return None
    began_ms, ended_ms = turn.thinking_ms
    first = turn.tokens[turn.continued_at : turn.continued_at + 1]
    ended_ms = max(ended_ms, first[0].time_ms if first else 0.0)
    return (ended_ms - began_ms) / 1000 if ended_ms > began_ms else None


def _milliseconds(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f} ms"
