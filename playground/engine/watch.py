"""Follows the probability of a few words at every step, whether they are among the candidates or not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from playground.domain.errors import BadInput
from playground.domain.watching import Watched, WatchedWord
from playground.engine.capture import Distribution
from playground.engine.continuation import split_alone
from playground.engine.model import LoadedModel
from playground.engine.samplers import Choice


class WatchList:
    """The watched words of one stream.

    Raises BadInput for a word that is no text and no token.
    """

    def __init__(self, model: LoadedModel, words: Sequence[str]) -> None:
        self.words = tuple(watched_word(model, word) for word in words)
        self.ids = tuple(word.id for word in self.words)

    def figures(self, distribution: Distribution, choice: Choice) -> tuple[Watched, ...]:
        """Each word at the position that `distribution` has read and `choice` was made at."""
        if not self.ids:
            return ()
        logits, log_sum = distribution.logits, distribution.log_sum
        return tuple(
            [
                Watched(
                    token,
                    math.exp(min(0.0, float(logits[token]) - log_sum)),
                    choice.prob.get(token, 0.0),
                    choice.cut_by.get(token, -1),
                )
                for token in self.ids
            ]
        )


def watched_word(model: LoadedModel, word: str) -> WatchedWord:
    """The token that stands for a word: "#id", the token of exactly this text, or the first of several."""
    if not word:
        raise BadInput("A watched word is empty.", "Type a word, with a space before it where one belongs.")
    try:
        (token,) = model.bias_ids({word: 0.0})
        count = 1
    except BadInput:
        if word[:1] == "#" and word[1:].isdecimal():
            raise BadInput(
                f"The watched token {word} is not one of this model.",
                f"Ids go from #0 to #{model.info.n_vocab - 1}.",
            ) from None
        ids = split_alone(model, word)
        token, count = ids[0], len(ids)
    return WatchedWord(word=word, id=token, piece=model.pieces[token][0], tokens=count)
