"""The figures of a scored text, each with what it means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from textual.content import Content
from textual.widgets import Static

from playground.domain.display import display_line
from playground.domain.scoring import Score, ScoreComparison
from playground.widgets.bars import UNKNOWN, fit
from playground.widgets.score_colours import signed

LOW: Final = 30
"""On a terminal with fewer rows the text needs the room that the explanations take."""
_LABEL: Final = 15
_COLUMN: Final = 14
_QUIET: Final = "$foreground 70%"
_DIVERGENCE: Final = (
    "KL divergence (Kullback-Leibler, of the second model from the first): bits a token that are wasted\n"
    "by who takes the second's probabilities for the first's. "
)
_WHOLE: Final = "Taken over the whole vocabulary at each token."
_BOUND: Final = (
    "Here it is taken over the candidates that both have kept and\n"
    "one share for all the rest, which can only make it smaller: the real one is at least this."
)


class Row(NamedTuple):
    """One figure."""

    label: str
    values: tuple[str, ...]
    meaning: str


class ScoreFigures(Static):
    """A row a figure: its name, its value for one model or for two, what it means; on a low terminal all in one."""

    DEFAULT_CSS = """
    ScoreFigures { height: auto; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self._rows: list[Row] = []
        self._names: tuple[str, ...] = ()

    @property
    def rows(self) -> list[Row]:
        """What is on display."""
        return self._rows

    def show(self, score: Score) -> None:
        """The figures of one score."""
        self._rows, self._names = [_tokens(score), *_sums(score)], ()
        self.tooltip = Content("\n".join(_explained(self._rows)))
        self._draw()

    def show_both(
        self, first: Score, second: Score, names: tuple[str, str], comparison: ScoreComparison | None
    ) -> None:
        """Those of two scores side by side, and what lies between them if they are of the same tokens."""
        self._names = (*names, "difference") if comparison is not None else names
        pairs = list(zip([_tokens(first), *_sums(first)], [_tokens(second), *_sums(second)], strict=True))
        rows = [Row(one.label, (*one.values, *other.values), one.meaning) for one, other in pairs]
        if comparison is not None:
            changes = ("", *(signed(change, 3) for change in _changes(first, second)))
            rows = [row._replace(values=(*row.values, change)) for row, change in zip(rows, changes, strict=True)]
            rows += _between(comparison)
        self._rows = rows
        lines = _explained(rows)
        if comparison is not None:
            lines += ["", _DIVERGENCE + (_BOUND if comparison.mean_kl is None else _WHOLE)]
        self.tooltip = Content("\n".join(lines))
        self._draw()

    def on_resize(self) -> None:
        """Another width."""
        self._draw()

    def _draw(self) -> None:
        width = max(0, self.size.width - 2)
        low = self.app.size.height < LOW
        column = _COLUMN if width >= 72 else 11
        if low and not self._names:
            self.update(_in_a_line(self._rows))
            return
        lines: list[Content] = []
        if self._names:
            heads = "".join(fit(display_line(name), column - 1).rstrip().rjust(column) for name in self._names)
            lines.append(Content.assemble((" " * _LABEL + heads, _QUIET)))
        alone = [row for row in self._rows if low and not row.values[0]]
        lines += [_line(row, column, width) for row in self._rows if row not in alone]
        self.update(Content("\n").join([*lines, _in_a_line(alone)] if alone else lines))


def _explained(rows: list[Row]) -> list[str]:
    return [f"{row.label}: {row.meaning}" for row in rows]


def _line(row: Row, column: int, width: int) -> Content:
    values = "".join(value.rjust(column) for value in row.values)
    room = width - _LABEL - len(values) - 2
    meaning = fit(row.meaning, room).rstrip() if room > 24 else ""
    return Content.assemble((row.label.ljust(_LABEL), _QUIET), (values, "bold"), (f"  {meaning}", _QUIET))


def _in_a_line(rows: list[Row]) -> Content:
    parts = [Content.assemble((f"{row.label} ", _QUIET), (row.values[-1], "bold")) for row in rows]
    return Content(" · ").join(parts)


def _number(value: float | None, digits: int = 2) -> str:
    return UNKNOWN if value is None else f"{value:,.{digits}f}".replace("-", "−")


def _tokens(score: Score) -> Row:
    unscored = len(score.tokens) - score.scored
    meaning = "all with a probability" if not unscored else "the first has none, since nothing stands before it"
    return Row("tokens", (f"{len(score.tokens):,}",), meaning)


def _sums(score: Score) -> list[Row]:
    return [
        Row("perplexity", (_number(score.perplexity),), "as undecided as among so many likely tokens; 1 is sure"),
        Row("bits per byte", (_number(score.bits_per_byte, 3),), "surprise by length: comparable across models"),
        Row("bits per token", (_number(score.mean_surprisal, 3),), "-log2 of the probability, a token; 0 is sure"),
    ]


def _changes(first: Score, second: Score) -> Iterator[float | None]:
    for one, other in zip(_values(first), _values(second), strict=True):
        yield None if one is None or other is None else other - one


def _values(score: Score) -> tuple[float | None, ...]:
    return score.perplexity, score.bits_per_byte, score.mean_surprisal


def _between(comparison: ScoreComparison) -> list[Row]:
    masses = [one.kept_mass for one in comparison.tokens if one.kept_mass is not None]
    mass = f"{sum(masses) / len(masses):.1%}" if masses else UNKNOWN
    kl = comparison.kl_text or UNKNOWN
    meaning = "bits a token, over the whole vocabulary; 0 is the same"
    if comparison.mean_kl is None:
        meaning = f"bits a token, at least; what is compared holds {mass}"
    same = UNKNOWN if comparison.same_best is None else f"{comparison.same_best:.1%}"
    ranks = [one.rank for one in comparison.tokens if one.rank is not None]
    moved = f"{sum(rank != 0 for rank in ranks) / len(ranks):.1%}" if ranks else UNKNOWN
    return [
        Row("KL divergence", ("", "", kl), meaning),
        Row("same favourite", ("", "", same), "tokens for which both would have said the same"),
        Row("rank changed", ("", "", moved), "tokens that stand higher or lower with the second"),
    ]
