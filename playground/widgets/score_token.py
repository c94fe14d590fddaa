"""One token of a scored text: how likely it was to one model or to two, and what they expected instead."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Static

from playground.domain.display import display_line, visible_piece
from playground.domain.scoring import ScoreDifference
from playground.domain.tokens import Candidate, Token
from playground.widgets.bars import TOO_SMALL, UNKNOWN, bar, fit, percent, probability
from playground.widgets.score_colours import bits, signed

FIRST_TOKEN: Final = "Nothing stands before this token, so it has no probability."
_TOOLTIP: Final = (
    "probability: the model's own, over the whole vocabulary; no sampler has a part in it.\n"
    "rank: 1 is what the model found the likeliest here.\n"
    "surprisal: -log2 of the probability, in bits; each bit halves it.\n"
    "entropy: how undecided the model was here, in bits.\n"
    "KL: how far the second model's distribution is from the first's, in bits, over the whole vocabulary.\n"
    "Behind a ≥ it is at least this: the candidates that both kept are compared one by one, all others as one."
)
_LABEL, _FIGURE = 12, 8
_LOW: Final = 14
"""In a panel with fewer rows the candidates need the room of what can be had elsewhere."""


class ScoreCandidates(ScrollView, can_focus=False):
    """A row a candidate: its bytes, and its probability to the first model as a bar and to both as figures."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"score-candidates--{part}" for part in ("header", "piece", "chosen", "bar", "second")
    }
    DEFAULT_CSS = """
    ScoreCandidates {
        height: 1fr; min-height: 3; overflow-x: hidden; scrollbar-size-vertical: 1;
        & > .score-candidates--header { color: $text-muted; }
        & > .score-candidates--piece { color: $foreground; }
        & > .score-candidates--chosen { color: $mark; text-style: bold; }
        & > .score-candidates--bar { color: $primary; }
        & > .score-candidates--second { color: $accent; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._token: Token | None = None
        self._second: dict[int | None, float | None] | None = None

    def show(self, token: Token | None, second: Token | None) -> None:
        """Show what the first model expected, beside it what the second one thought of the same candidates."""
        self._token = token
        self._second = None if second is None else {one.id: one.logprob for one in second.top}
        self.virtual_size = Size(self.size.width, len(self._rows()) + 1)
        self.scroll_to(y=0, animate=False)
        self.refresh()

    def _rows(self) -> tuple[Candidate, ...]:
        return self._token.top if self._token is not None else ()

    def on_resize(self) -> None:
        """Another width."""
        self.virtual_size = Size(self.size.width, len(self._rows()) + 1)

    def render_line(self, y: int) -> Strip:
        """The header, which stays in place, or a candidate."""
        width, rows = self.scrollable_content_region.width, self._rows()
        styles = {
            name.rpartition("--")[2]: self.get_component_rich_style(name) for name in sorted(self.COMPONENT_CLASSES)
        }
        if y == 0:
            return Strip([Segment(fit(self._header(width), width), styles["header"])])
        index = y - 1 + self.scroll_offset.y
        if index >= len(rows):
            return Strip.blank(width, self.rich_style)
        return Strip(self._row(rows[index], width, styles)).adjust_cell_length(width, self.rich_style)

    def _columns(self, width: int) -> tuple[int, int, int]:
        """Cells of the piece, the bar, and the second figure."""
        after = 8 if self._second is not None else 0
        rest = max(8, width - 2 - 7 - after)
        piece = min(20, max(8, rest * 3 // 5))
        return piece, max(0, rest - piece), after

    def _header(self, width: int) -> str:
        if not self._rows():
            return ""
        piece, length, after = self._columns(width)
        heads = "first".rjust(length + 7) + "second".rjust(after) if after else "model".rjust(length + 7)
        return "  " + fit("expected here", piece) + heads

    def _row(self, candidate: Candidate, width: int, styles: dict[str, Style]) -> list[Segment]:
        token, (piece, length, after) = self._token, self._columns(width)
        here = token is not None and candidate.id == token.id
        text, share = styles["chosen" if here else "piece"], probability(candidate.logprob)
        segments = [
            Segment("▸ " if here else "  ", styles["chosen"]),
            Segment(fit(visible_piece(candidate.piece), piece - 1) + " ", text),
            Segment(bar(share or 0.0, length), styles["bar"]),
            Segment(percent(share, 7), text),
        ]
        if self._second is not None:
            segments.append(Segment(percent(probability(self._second.get(candidate.id)), after), styles["second"]))
        return segments


class ScoreToken(Vertical):
    """The token under the cursor."""

    DEFAULT_CSS = """
    ScoreToken {
        height: 1fr; padding: 0 1;
        & > #score-token-head { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
        & > #score-token-why { height: auto; color: $text-muted; }
    }
    """

    def compose(self) -> ComposeResult:
        """Figures over candidates."""
        head = Static("", id="score-token-head", markup=False)
        head.tooltip = Content(_TOOLTIP)
        yield head
        yield Static("", id="score-token-why", markup=False)
        yield ScoreCandidates()

    def show(self, token: Token | None, second: Token | None = None, difference: ScoreDifference | None = None) -> None:
        """Show a token; `second` is the same one to the second model, `difference` what lies between them."""
        head, why = self.query_one("#score-token-head", Static), self.query_one("#score-token-why", Static)
        self.query_one(ScoreCandidates).show(token, second)
        if token is None:
            head.update(Content(""))
            why.update("")
            return
        why.update(FIRST_TOKEN if token.logprob is None else "")
        name = display_line(token.special) if token.special else visible_piece(token.piece)
        lines = [Content.assemble((name, "bold $mark"), (f"  #{token.index + 1:,}  id {token.id}", "$foreground 70%"))]
        if token.logprob is not None:
            lines += _figures(token) if second is None else _both(token, second, difference, self.size.height < _LOW)
        head.update(Content("\n").join(lines))


def _line(label: str, *figures: str, style: str = "") -> Content:
    parts = [(label.ljust(_LABEL), "$foreground 70%"), *((figure, style or "$foreground") for figure in figures)]
    return Content.assemble(*parts)


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def _rank(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _figures(token: Token) -> list[Content]:
    return [
        _line("probability", percent(probability(token.logprob), 6), f"  rank {_rank(token.rank)}"),
        _line("surprisal", f"{_number(token.surprisal):>6} bits"),
        _line("entropy", f"{_number(token.entropy):>6} bits"),
    ]


def _both(token: Token, second: Token, difference: ScoreDifference | None, low: bool) -> list[Content]:
    change = signed(bits(difference.logprob)) if difference is not None else UNKNOWN
    kl = difference.kl_text if difference is not None else ""
    kl = kl or UNKNOWN
    both = (token, second)
    heads = _line("", "first".rjust(_FIGURE), "second".rjust(_FIGURE), style="$foreground 70%")
    shares = [percent(probability(which.logprob), _FIGURE) for which in both]
    probabilities = _line("probability", *shares)
    if low and any(share.strip().startswith(TOO_SMALL) for share in shares):
        probabilities = _line("log-prob", *(f"{_number(which.logprob):>{_FIGURE}}" for which in both))
    ranks = _line("rank", *(f"{_rank(which.rank):>{_FIGURE}}" for which in both))
    between = _line("difference", f"{change:>{_FIGURE}}", f" bits · KL {kl}")
    if low:
        changed = _line("difference", f"{change:>{_FIGURE}}", " bits")
        return [probabilities, ranks, changed, _line("KL", f"{kl:>{_FIGURE}}", " bits")]
    surprisals = _line("surprisal", *(f"{_number(which.surprisal):>{_FIGURE}}" for which in both), " bits")
    entropies = _line("entropy", *(f"{_number(which.entropy):>{_FIGURE}}" for which in both), " bits")
    return [heads, probabilities, surprisals, ranks, entropies, between]
