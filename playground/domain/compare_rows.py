"""Several replies side by side as figures: the rows of a table, and the table as text to take along."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from playground.domain.display import display_line, visible_piece
from playground.domain.figures import Figures
from playground.domain.session import Phase
from playground.domain.transcript import Turn

MIN_KNOWN: Final = 0.9
"""Share of a reply's tokens whose probability must be known before anything is said about all of them."""
_MOST_NATS: Final = 700.0
"""Beyond this mean surprise `math.exp` has no number."""


class PaneState(StrEnum):
    """What a pane is doing, or how its last reply came out."""

    EMPTY = "empty"
    SENT = "sent"
    PREFILL = "prefill"
    THINKING = "thinking"
    RETRYING = "waiting to try again"
    WRITING = "writing"
    HELD = "waiting for a token"
    """Nothing is written: a person says which token comes next, or lets it run."""
    DONE = "done"
    FAILED = "failed"

    @property
    def busy(self) -> bool:
        """True while something is still to come."""
        return self not in (PaneState.EMPTY, PaneState.HELD, PaneState.DONE, PaneState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRow:
    """One pane's figures. None is "nobody knows"; names and endings are as they came from models and servers."""

    number: int
    """Number of the pane, from 1."""
    model: str = ""
    """Short name of the model that wrote the reply, or will."""
    preset: str = ""
    """Its preset, with a star when it was changed."""
    follows: str = ""
    """The token with which the reply left another version of it; empty for a reply of its own."""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    tokens_estimate: bool = False
    """True when the counts are not a tokenizer's or the provider's own."""
    ttft_ms: float | None = None
    tokens_per_second: float | None = None
    speed_estimate: bool = False
    """True while it is what can be told from the outside."""
    cost: float | None = None
    """US dollars; 0.0 for a local model, None when the price is unknown."""
    cost_estimate: bool = False
    perplexity: float | None = None
    state: PaneState = PaneState.EMPTY
    ending: str = ""
    """Why the reply ended, in words; empty while it is written."""


class Perplexity:
    """The perplexity of a reply as it grows: e to the mean surprise of its tokens, by the model's own probabilities.

    Special tokens, such as the one that ends a reply, do not count, so that replies with and without them compare.
    Tokens whose probability is unknown do not count either; when they are more than a tenth of the reply (`MIN_KNOWN`),
    as in a reply of a server that gives none, there is no perplexity. It says how sure a model was of its own words,
    after whatever its samplers did to them; it does not compare texts of one model with those of another tokenizer's.
    """

    def __init__(self) -> None:
        self._turn: Turn | None = None
        self._seen = self._known = self._unknown = 0
        self._nats = 0.0

    def of(self, turn: Turn) -> float | None:
        """The perplexity of a reply so far; costs the tokens that are new since the last call."""
        if turn is not self._turn or len(turn.tokens) < self._seen:
            self._turn, self._seen, self._known, self._unknown, self._nats = turn, 0, 0, 0, 0.0
        for token in turn.tokens[self._seen :]:
            if token.special:
                continue
            if token.logprob is None or token.chunk:
                self._unknown += 1
            else:
                self._known += 1
                self._nats -= token.logprob
        self._seen = len(turn.tokens)
        if not self._known or self._known < MIN_KNOWN * (self._known + self._unknown):
            return None
        mean = self._nats / self._known
        return math.exp(mean) if mean < _MOST_NATS else math.inf


def row_of(
    number: int,
    turn: Turn | None,
    *,
    model: str = "",
    preset: str = "",
    phase: Phase = Phase.IDLE,
    figures: Figures | None = None,
    perplexity: Perplexity | None = None,
    cost_so_far: float | None = None,
) -> CompareRow:
    """The row of a pane.

    Args:
        number: Of the pane, from 1.
        turn: The reply to tell about; None when there is none yet.
        model: Short name of the pane's model; the one that wrote the reply goes first.
        preset: Name of its preset, with a star when it was changed.
        phase: What the pane is doing.
        figures: Live figures of the run that writes the reply; of no use once it has ended.
        perplexity: Keeps the sum from call to call; left out, it is made from the whole reply.
        cost_so_far: Estimated US dollars of the run that writes the reply.
    """
    row = CompareRow(number=number, model=model, preset=preset, state=_state(turn, phase))
    if turn is None:
        return row
    row = replace(row, model=turn.model or model, perplexity=(perplexity or Perplexity()).of(turn), follows=_left(turn))
    if turn.finished is None:
        return _with_live_figures(row, turn, figures or Figures(), cost_so_far)
    usage, timings = turn.finished.usage, turn.finished.timings
    return replace(
        row,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        tokens_estimate=usage.estimate,
        ttft_ms=timings.ttft_ms,
        tokens_per_second=timings.tokens_per_second,
        cost=usage.cost,
        cost_estimate=usage.estimate and bool(usage.cost),
        ending=_ending(turn),
    )


def _with_live_figures(row: CompareRow, turn: Turn, figures: Figures, cost_so_far: float | None) -> CompareRow:
    started = turn.started
    return replace(
        row,
        prompt_tokens=started.prompt_tokens if started is not None else None,
        cached_tokens=started.cached_tokens if started is not None else None,
        completion_tokens=len(turn.tokens) if turn.tokens else None,
        # Pieces as a server sends them are not tokens, so their number is a guess at the number of those.
        tokens_estimate=any(token.chunk for token in turn.tokens[-1:]),
        ttft_ms=figures.ttft_ms,
        tokens_per_second=figures.tokens_per_second,
        speed_estimate=figures.tokens_per_second is not None,
        cost=cost_so_far,
        cost_estimate=bool(cost_so_far),
        ending=_ending(turn),
    )


def _state(turn: Turn | None, phase: Phase) -> PaneState:
    if phase is not Phase.IDLE:
        return PaneState[phase.name]
    if turn is None:
        return PaneState.EMPTY
    if turn.finished is None and turn.problem is None:
        return PaneState.HELD
    return PaneState.FAILED if turn.problem is not None else PaneState.DONE


def _left(turn: Turn) -> str:
    """The token at which a reply left another one, as it can be shown."""
    at = turn.forked_at
    return visible_piece(turn.tokens[at].piece) if at is not None and at in turn.by_hand else ""


def _ending(turn: Turn) -> str:
    if turn.problem is not None:
        return turn.problem.message
    if turn.finished is None:
        return ""
    detail = turn.finished.detail
    return turn.finished.reason.sentence + (f": {detail}" if detail else "")


def _state_text(row: CompareRow) -> str:
    if row.state is PaneState.FAILED:
        return f"failed: {display_line(row.ending)}"
    return display_line(row.ending) or str(row.state)


Cell = Callable[[CompareRow], str]


def _figure(value: float | None, form: str, estimate: bool = False) -> str:
    return "" if value is None else f"{'≈' if estimate else ''}{value:{form}}"


_COLUMNS: Final[tuple[tuple[str, bool, Cell], ...]] = (
    ("pane", True, lambda row: str(row.number)),
    ("model", False, lambda row: display_line(row.model)),
    ("preset", False, lambda row: display_line(row.preset)),
    ("tokens in", True, lambda row: _figure(row.prompt_tokens, ",d", row.tokens_estimate)),
    ("cached", True, lambda row: _figure(row.cached_tokens, ",d", row.tokens_estimate)),
    ("tokens out", True, lambda row: _figure(row.completion_tokens, ",d", row.tokens_estimate)),
    ("TTFT (ms)", True, lambda row: _figure(row.ttft_ms, ",.0f")),
    ("tokens/s", True, lambda row: _figure(row.tokens_per_second, ",.1f", row.speed_estimate)),
    ("cost ($)", True, lambda row: _figure(row.cost, ".6f" if row.cost else ".0f", row.cost_estimate)),
    ("perplexity", True, lambda row: _figure(row.perplexity, ",.2f")),
    ("end", False, _state_text),
)
"""Title, whether it is a figure, and the cell; empty is "nobody knows"."""

_NUMBERS: Final = (
    *("prompt_tokens", "cached_tokens", "completion_tokens", "ttft_ms", "tokens_per_second", "cost", "perplexity"),
)
_ESTIMATES: Final[dict[str, Callable[[CompareRow], bool]]] = {
    "tokens": lambda row: row.tokens_estimate,
    "tokens_per_second": lambda row: row.speed_estimate,
    "cost": lambda row: row.cost_estimate,
}


def as_markdown(rows: Sequence[CompareRow]) -> str:
    """A table for a text; what nobody knows is "–", an estimate carries "≈"."""
    lines = [[title for title, _, _ in _COLUMNS], ["---:" if right else "---" for _, right, _ in _COLUMNS]]
    lines += [[in_markdown(cell(row)) or "–" for _, _, cell in _COLUMNS] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_csv(rows: Sequence[CompareRow]) -> str:
    """A table for a program: bare numbers, nothing where nobody knows, a column that names what is estimated."""
    import csv  # with all that is behind it, for a key that is seldom pressed
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["pane", "model", "preset", *_NUMBERS, "state", "ending", "estimated"])
    for row in rows:
        numbers = ["" if (value := getattr(row, name)) is None else value for name in _NUMBERS]
        estimated = " ".join(name for name, is_one in _ESTIMATES.items() if is_one(row))
        texts = [in_sheet(text) for text in (row.model, row.preset, str(row.state), row.ending)]
        writer.writerow([row.number, *texts[:2], *numbers, *texts[2:], estimated])
    return out.getvalue()


def in_markdown(text: str) -> str:
    """Text as it is meant in a Markdown table."""
    return "".join(f"\\{char}" if char in "\\|`*_[]<>" else char for char in text)


def in_sheet(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    line = display_line(text)
    return f"'{line}" if line[:1] in tuple("=+-@＝＋－＠") else line
