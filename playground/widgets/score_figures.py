"""The figures of a scored text, each with what it means."""

from __future__ import annotations

from typing import Final, NamedTuple

from textual.content import Content
from textual.widgets import Static

from playground.domain.display import display_line
from playground.domain.scoring import Score, ScoreComparison
from playground.widgets.bars import UNKNOWN, fit
from playground.widgets.score_colours import bits, signed

_LABEL: Final = 15
_COLUMN: Final = 14
_TOOLTIP: Final = (
    "The whole distributions stay in the models' own processes: a quarter of a million numbers a token would have to\n"
    "travel. Of each token the best candidates come here. The divergence (Kullback-Leibler, of the second model from\n"
    "the first) is taken over those that both have kept and one share for all the rest, which can only make it\n"
    "smaller: the real one is at least this."
)


class Row(NamedTuple):
    """One figure."""

    label: str
    values: tuple[str, ...]
    meaning: str


class ScoreFigures(Static):
    """A row a figure: its name, its value for one model or for two, what it means."""

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
        self.tooltip = Content("\n".join(f"{row.label}: {row.meaning}" for row in self._rows))
        self._draw()

    def show_both(
        self, first: Score, second: Score, names: tuple[str, str], comparison: ScoreComparison | None
    ) -> None:
        """Those of two scores side by side, and what lies between them if they are of the same tokens."""
        self._names = (*names, "difference") if comparison is not None else names
        pairs = zip([_tokens(first), *_sums(first)], [_tokens(second), *_sums(second)], strict=True)
        rows = [Row(one.label, (*one.values, *other.values), one.meaning) for one, other in pairs]
        if comparison is not None:
            rows = [*rows[:-1], rows[-1]._replace(values=(*rows[-1].values, signed(comparison.mean_logprob, 4)))]
            rows += _between(comparison)
        self._rows = rows
        self.tooltip = Content(_TOOLTIP)
        self._draw()

    def on_resize(self) -> None:
        """Another width."""
        self._draw()

    def _draw(self) -> None:
        width = max(0, self.size.width - 2)
        lines: list[Content] = []
        column = _COLUMN if width >= 72 else 11
        if self._names:
            heads = "".join(" " + fit(display_line(name), column - 1).rjust(column - 1) for name in self._names)
            lines.append(Content.assemble((" " * _LABEL + heads, "$text-muted")))
        for row in self._rows:
            values = "".join(value.rjust(column) for value in row.values)
            room = width - _LABEL - len(values) - 2
            meaning = fit(row.meaning, room).rstrip() if room > 12 else ""
            lines.append(
                Content.assemble(
                    (row.label.ljust(_LABEL), "$foreground 60%"), (values, "bold"), (f"  {meaning}", "$text-muted")
                )
            )
        self.update(Content("\n").join(lines))


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
        Row("mean logprob", (_number(score.mean_logprob, 3),), "natural log of the probability, a token; 0 is sure"),
    ]


def _between(comparison: ScoreComparison) -> list[Row]:
    masses = [one.kept_mass for one in comparison.tokens if one.kept_mass is not None]
    mass = f"{sum(masses) / len(masses):.1%}" if masses else UNKNOWN
    kl = UNKNOWN if comparison.mean_kl_kept is None else f"≥ {comparison.mean_kl_kept:.4f}"
    same = UNKNOWN if comparison.same_best is None else f"{comparison.same_best:.1%}"
    worst = min((bits(one.logprob) or 0.0 for one in comparison.tokens), default=None)
    return [
        Row("KL divergence", (kl,), f"bits a token, at least: over shared candidates, {mass} of the probability"),
        Row("same favourite", (same,), "tokens for which both would have said the same"),
        Row("worst loss", (signed(worst),), "bits: where the second model loses most against the first"),
    ]
