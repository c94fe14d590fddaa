"""Everything known about one token: what it is, how likely it was, what it beat, how it was sampled."""

from __future__ import annotations

import math
from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from playground.domain.display import display_text, visible_piece
from playground.domain.tokens import Token
from playground.widgets.bars import UNKNOWN, fit, percent, probability, thin_bar
from playground.widgets.candidates import CandidateList
from playground.widgets.funnel import Funnel, levels
from playground.widgets.temperature_table import FRAME, MOST_ROWS, SideBySide, TemperatureTable, words_height

COMPACT_BELOW = 22
"""Rows below which the less important figures give way to candidates."""
_LIST_ROWS = 7
"""Rows that the list of candidates keeps beside everything else, its header included."""
_LOOKS = ("candidates", "funnel", "temperatures")
"""What a low inspector shows below the figures, one after the other; the candidates are always there."""
_LEAST_COMPARED = 3
"""Candidates a table of temperatures is worth its place for."""
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
        & > #inspector-remark { height: 1; color: $mark; display: none; }
        & > Funnel { margin: 1 0 0 0; }
        & > TemperatureTable { margin: 1 0 0 0; display: none; }
        &.-compact > #inspector-head { height: 1; }
        &.-compact > #inspector-figures { height: 3; margin: 0; }
        &.-empty > #inspector-head { color: $text-muted; height: auto; text-wrap: wrap; }
        &.-empty > #inspector-figures { display: none; }
        &.-empty > CandidateList { display: none; }
        &.-empty > Funnel { display: none; }
        &.-empty > TemperatureTable { display: none; }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._shown = Shown(None, None)
        self._compact = False
        self._table_wanted: bool | None = None
        """None: where there is room for it."""
        self._look = 0
        """Where there is little room: what stands below the candidates, a place in `_LOOKS`."""
        self.add_class("-empty")

    @property
    def token(self) -> Token | None:
        """The token on display."""
        return self._shown.token

    def compose(self) -> ComposeResult:
        """Head, figures, candidates, funnel, temperatures."""
        yield Static(Content(HELP), id="inspector-head", markup=False)
        figures = Static(id="inspector-figures", markup=False)
        figures.tooltip = Content(FIGURES_TOOLTIP)
        yield Static(id="inspector-remark", markup=False)
        yield figures
        yield CandidateList()
        yield Funnel()
        yield TemperatureTable()

    def show(
        self,
        token: Token | None,
        n_vocab: int | None,
        note: str = "latest",
        *,
        recorded: Token | None = None,
        remark: str = "",
        table: SideBySide | None = None,
    ) -> None:
        """Show a token.

        Args:
            token: None shows a line of help.
            n_vocab: Size of the vocabulary in tokens; None when unknown.
            note: What it is: the latest one, a pinned one, a what-if, or the next that waits to be chosen.
            recorded: For a what-if, the same token as it was drawn.
            remark: A line on what other parameters mean for it.
            table: The same at several temperatures; None where nobody asked.
        """
        before, self._shown = self._shown, Shown(token, n_vocab, note, recorded, remark, table)
        if before.token is token and before[1:] == self._shown[1:]:
            return
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

    def action_temperatures(self) -> None:
        """Show the table of temperatures, in the funnel's place where both have no room, or hide it.

        Where there is little room at all, go on from candidates alone to those with the funnel, to those with the
        table, if there is one.
        """
        if self._compact:
            self._look = (self._look + 1) % (len(_LOOKS) if self._shown.table is not None else len(_LOOKS) - 1)
        else:
            self._table_wanted = not self.query_one(TemperatureTable).display
        self._refresh_parts()

    def _refresh_parts(self) -> None:
        shown, width = self._shown, self.scrollable_content_region.width
        token = shown.token
        self.set_class(token is None, "-empty")
        head = Content(HELP) if token is None else _head(token, shown.note, width)
        self.query_one("#inspector-head", Static).update(head, layout=False)
        remark = self.query_one("#inspector-remark", Static)
        remark.display = bool(shown.remark)
        remark.update(Content(display_text(shown.remark)), layout=False)
        if token is not None:
            figures = _short_figures(shown) if self._compact else _figures(shown, width)
            self.query_one("#inspector-figures", Static).update(figures, layout=False)
        self.query_one(CandidateList).show(token)
        self.query_one(Funnel).show(token, shown.n_vocab)
        self._arrange(width)

    def _arrange(self, width: int) -> None:
        """Give the table of temperatures what room there is; the list of candidates comes first."""
        table, funnel, shown = self.query_one(TemperatureTable), self.query_one(Funnel), self._shown
        look = _LOOKS[self._look] if self._compact else ""
        if shown.table is None or shown.token is None:
            table.display = False
            funnel.display = shown.token is not None and look in ("", "funnel")
            return
        fixed = (4 if self._compact else 7) + bool(shown.remark)
        listed = min(_LIST_ROWS, max(4, len(shown.token.top) + 1))
        stages = len(levels(shown.token, shown.n_vocab)) + 1
        words = words_height(shown.table, width)
        room = self.size.height - fixed - listed - 1 - words
        rows = min(MOST_ROWS, room - stages - FRAME)
        fits = rows >= _LEAST_COMPARED or (shown.table.refused and room >= stages)
        fits = fits and not look
        alone = look == "temperatures" or (not look and self._table_wanted is True and not fits)
        if alone:
            rows = max(_LEAST_COMPARED, min(MOST_ROWS, room - FRAME))
        table.show(shown.table, max(0, rows))
        table.display = alone or (fits and self._table_wanted is not False)
        funnel.display = not alone if not look else look == "funnel"


class Shown(NamedTuple):
    """What the inspector shows."""

    token: Token | None
    n_vocab: int | None
    note: str = "latest"
    recorded: Token | None = None
    """For a what-if, the token as it was drawn."""
    remark: str = ""
    table: SideBySide | None = None


def _head(token: Token, note: str, width: int) -> Content:
    """What the token is, in two rows."""
    room = max(4, width - len(note) - 1)
    piece = "not chosen yet" if _is_open(token) else display_text(token.special) or visible_piece(token.piece)
    place = f"#{token.index + 1:,}  id {UNKNOWN if token.id is None else token.id}"
    spelled = "special" if token.special else token.piece.hex(" ") or "no bytes"
    text, came = (place if _is_open(token) else f"{place}  {spelled}"), _came(token, width)
    return Content.assemble(
        (fit(piece, room), "bold $mark"),
        " ",
        (note, {"what if": "bold $warning", "next": "bold $warning", "pinned": "$accent"}.get(note, "$foreground 70%")),
        "\n",
        (fit(text, max(0, width - len(came) - 1)) + " ", "$foreground 70%"),
        (came, "$foreground 70%"),
    )


def _is_open(token: Token) -> bool:
    """True for a position at which no token was chosen yet."""
    return token.id is None and not token.piece and token.logprob is None and bool(token.top)


def _came(token: Token, width: int) -> str:
    """When it came, so that nobody takes it for the time the token took."""
    if not token.time_ms:
        return ""
    seconds = f"{token.time_ms / 1000:,.2f} s"
    guessed = "guessed ahead, " if token.drafted and width >= 52 else "guessed, " if token.drafted else ""
    return f"{guessed}{seconds} after sending" if width >= 52 else f"{guessed}sent +{seconds}"


def _short_figures(shown: Shown) -> Content:
    """What must not be missing, in three rows."""
    token = shown.token
    assert token is not None
    return Content.assemble(
        ("model   ", "$foreground 70%"),
        (percent(probability(token.logprob), 6), "bold $primary"),
        f" rank {_count(token.rank)}\n",
        ("sampled ", "$foreground 70%"),
        (percent(token.prob, 6), "bold $accent"),
        _was(shown) or f" id {UNKNOWN if token.id is None else token.id}",
        "\n",
        ("entropy ", "$foreground 70%"),
        f"{_bits(token.entropy):>6} bits",
    )


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _bits(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def _was(shown: Shown) -> str:
    """For a what-if, the chance that the token really had."""
    return "" if shown.recorded is None else f" was {percent(shown.recorded.prob).strip()}"


def _figures(shown: Shown, width: int) -> Content:
    """How likely it was, in four rows."""
    token = shown.token
    assert token is not None
    bar_width = min(24, max(0, width - 23))
    return Content.assemble(
        ("model     ", "$foreground 70%"),
        (percent(probability(token.logprob), 6), "bold $primary"),
        f" rank {_count(token.rank)}\n",
        ("sampled   ", "$foreground 70%"),
        (percent(token.prob, 6), "bold $accent"),
        _was(shown),
        "\n",
        ("entropy   ", "$foreground 70%"),
        f"{_bits(token.entropy):>6} bits ",
        (_entropy_bar(token.entropy, shown.n_vocab, bar_width), "$primary"),
        "\n",
        ("surprisal ", "$foreground 70%"),
        f"{_bits(token.surprisal):>6} bits",
    )


def _entropy_bar(entropy: float | None, n_vocab: int | None, width: int) -> str:
    """Entropy as a share of the most there can be."""
    if entropy is None or not n_vocab or n_vocab < 2:
        return ""
    return thin_bar(entropy / math.log2(n_vocab), width)
