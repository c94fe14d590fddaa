"""The rows of one token's candidates: what each is drawn from, and where a candidate stands."""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from textual.strip import Strip

from playground.domain.biases import bias_of
from playground.domain.display import visible_piece
from playground.domain.tokens import Candidate, Token
from playground.widgets.bars import fit, stage_label
from playground.widgets.candidate_row import BANNING_STAGE, SIGNS, Row, candidate_row, chosen_index, columns, digit_of


class CandidateRows:
    """Candidates of a token, the best first; none where there is no token."""

    def __init__(self, token: Token | None) -> None:
        self.token = token
        self.all: tuple[Candidate, ...] = () if token is None else token.top
        self.chosen = -1 if token is None else chosen_index(token)
        """Which of them the token became; -1 when it is not among them."""

    def __len__(self) -> int:
        return len(self.all)

    def key(self, index: int) -> tuple[Candidate, bool, str]:
        """Everything a row is drawn from, cursor and bias aside."""
        candidate = self.all[index]
        return candidate, index == self.chosen, self._cut(candidate)

    def place_of(self, wanted: Candidate, before: int) -> int:
        """Where a candidate stands now; -1 when it is not there. Most rows stay where they were."""
        for index in ([before] if 0 <= before < len(self) else []) + list(range(len(self))):
            other = self.all[index]
            if other.piece == wanted.piece if wanted.id is None else other.id == wanted.id:
                return index
        return -1

    def why_cut(self, index: int) -> str:
        """Which stage removed a candidate, in words; empty when none did."""
        cut = self._cut(self.all[index])
        if not cut:
            return ""
        piece = visible_piece(self.all[index].piece)
        return f"{piece} is banned" if cut == BANNING_STAGE else f"{cut} removed {piece}"

    def _cut(self, candidate: Candidate) -> str:
        stages = self.token.stages if self.token else ()
        return stage_label(stages[candidate.cut_by].name) if 0 <= candidate.cut_by < len(stages) else ""

    def row(self, index: int, width: int, parts: Mapping[str, Style], biases: Mapping[str, float]) -> Strip:
        """A candidate, drawn.

        Args:
            index: Which one.
            width: In cells.
            parts: Styles by part.
            biases: Logit bias from now on, by a token's text or "#id".
        """
        candidate, chosen, cut = self.key(index)
        bias = bias_of(biases, candidate) if biases else 0.0
        return candidate_row(Row(candidate, chosen, cut, bias, digit_of(index)), width, parts)

    def header(self, width: int) -> str:
        """What stands above them."""
        if not self.all:
            return fit("" if self.token is None else "No candidates are known for this token.", width)
        cols = columns(width)
        text = " " * SIGNS + fit("token", cols.piece) + fit("model", cols.raw_bar + cols.raw)
        if cols.after_bar:
            text += fit(" sampled", cols.after_bar + cols.after)
        elif cols.after:
            text += "sampled".rjust(cols.after)
        return fit(text, width)
