"""Everything known about one token: what it is, how likely it was, what it beat, how it was sampled."""

from __future__ import annotations

import math

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from playground.domain.display import display_text, visible_piece
from playground.domain.tokens import Token
from playground.widgets.bars import UNKNOWN, fit, percent, probability, thin_bar
from playground.widgets.candidates import CandidateList
from playground.widgets.funnel import Funnel

COMPACT_BELOW = 22
"""Rows below which the less important figures give way to candidates."""
HELP = "Nothing to inspect yet.\nSend a prompt, then walk through its tokens."
FIGURES_TOOLTIP = (
    "model: the model's own probability, over the whole vocabulary.\n"
    "sampled: the chance after every sampler stage had its say.\n"
    "entropy: how undecided the model was, in bits; the bar ends where all tokens are equally likely.\n"
    "surprisal: -log2 of the model's own probability, in bits; 0 is no surprise."
)


class Inspector(VerticalScroll, can_focus=False):
    """Follows the latest token, or stays on a pinned one. `show` is cheap enough for every frame."""

    DEFAULT_CSS = """
    Inspector {
        width: 1fr;
        height: 1fr;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        & > #inspector-head { height: 2; }
        & > Static { text-wrap: nowrap; text-overflow: ellipsis; }
        & > #inspector-figures { height: 4; margin: 0 0 1 0; }
        & > Funnel { margin: 1 0 0 0; }
        &.-compact > #inspector-head { height: 1; }
        &.-compact > #inspector-figures { height: 3; margin: 0; }
        &.-empty > #inspector-head { color: $text-muted; height: auto; text-wrap: wrap; }
        &.-empty > #inspector-figures { display: none; }
        &.-empty > CandidateList { display: none; }
        &.-empty > Funnel { display: none; }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._token: Token | None = None
        self._n_vocab: int | None = None
        self._note = "latest"
        self._compact = False
        self.add_class("-empty")

    @property
    def token(self) -> Token | None:
        """The token on display."""
        return self._token

    def compose(self) -> ComposeResult:
        """Head, figures, candidates, funnel."""
        yield Static(Content(HELP), id="inspector-head", markup=False)
        figures = Static(id="inspector-figures", markup=False)
        figures.tooltip = Content(FIGURES_TOOLTIP)
        yield figures
        yield CandidateList()
        yield Funnel()

    def show(self, token: Token | None, n_vocab: int | None, pinned: bool = False, *, what_if: bool = False) -> None:
        """Show a token.

        Args:
            token: None shows a line of help.
            n_vocab: Size of the vocabulary in tokens; None when unknown.
            pinned: True when the person chose this token, so that it does not follow the stream.
            what_if: True when these are not the figures it had, but those it would have.
        """
        note = "what if" if what_if else "pinned" if pinned else "latest"
        if token is self._token and n_vocab == self._n_vocab and note == self._note:
            return
        self._token, self._n_vocab, self._note = token, n_vocab, note
        # Parts that change while they are hidden would have the whole screen laid out for every frame.
        if self.is_mounted and self.display:
            self._refresh_parts()

    def on_mount(self) -> None:
        """Draw what was shown before there was a screen."""
        self._refresh_parts()

    def on_show(self) -> None:
        """Catch up with what was shown while this was hidden."""
        self._refresh_parts()

    def on_resize(self) -> None:
        """Lay the text out anew."""
        self._compact = self.size.height < COMPACT_BELOW
        self.set_class(self._compact, "-compact")
        self._refresh_parts()

    def _refresh_parts(self) -> None:
        token, width = self._token, self.scrollable_content_region.width
        self.set_class(token is None, "-empty")
        head = Content(HELP) if token is None else _head(token, self._note, width)
        self.query_one("#inspector-head", Static).update(head, layout=False)
        if token is not None:
            figures = _short_figures(token) if self._compact else _figures(token, self._n_vocab, width)
            self.query_one("#inspector-figures", Static).update(figures, layout=False)
        self.query_one(CandidateList).show(token)
        self.query_one(Funnel).show(token, self._n_vocab)


def _head(token: Token, note: str, width: int) -> Content:
    """What the token is, in two rows."""
    room = max(4, width - len(note) - 1)
    piece = display_text(token.special) if token.special else visible_piece(token.piece)
    place = f"#{token.index}  id {UNKNOWN if token.id is None else token.id}  {token.time_ms:,.0f} ms"
    spelled = "special" if token.special else token.piece.hex(" ") or "no bytes"
    return Content.assemble(
        (fit(piece, room), "bold $mark"),
        " ",
        (note, {"what if": "bold $warning", "pinned": "$accent"}.get(note, "$foreground 60%")),
        "\n",
        (fit(f"{place}  {spelled}", width), "$foreground 60%"),
    )


def _short_figures(token: Token) -> Content:
    """What must not be missing, in three rows."""
    return Content.assemble(
        ("model   ", "$foreground 60%"),
        (percent(probability(token.logprob), 6), "bold $primary"),
        f" rank {_count(token.rank)}\n",
        ("sampled ", "$foreground 60%"),
        (percent(token.prob, 6), "bold $accent"),
        f" id {UNKNOWN if token.id is None else token.id}\n",
        ("entropy ", "$foreground 60%"),
        f"{_bits(token.entropy):>6} bits",
    )


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _bits(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def _figures(token: Token, n_vocab: int | None, width: int) -> Content:
    """How likely it was, in four rows."""
    bar_width = min(24, max(0, width - 23))
    return Content.assemble(
        ("model     ", "$foreground 60%"),
        (percent(probability(token.logprob), 6), "bold $primary"),
        f" rank {_count(token.rank)}\n",
        ("sampled   ", "$foreground 60%"),
        (percent(token.prob, 6), "bold $accent"),
        "\n",
        ("entropy   ", "$foreground 60%"),
        f"{_bits(token.entropy):>6} bits ",
        (_entropy_bar(token.entropy, n_vocab, bar_width), "$primary"),
        "\n",
        ("surprisal ", "$foreground 60%"),
        f"{_bits(token.surprisal):>6} bits",
    )


def _entropy_bar(entropy: float | None, n_vocab: int | None, width: int) -> str:
    """Entropy as a share of the most there can be."""
    if entropy is None or not n_vocab or n_vocab < 2:
        return ""
    return thin_bar(entropy / math.log2(n_vocab), width)
