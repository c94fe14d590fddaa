"""Follows the probability of a few words at every step, whether they are among the candidates or not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.params import check
from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.domain.watching import Watched, WatchedWord
from playground.domain.what_if import WatchedReply, WatchRequest
from playground.engine.bending import Bending, Throw, unsure_stages
from playground.engine.capture import Distribution
from playground.engine.continuation import split_alone
from playground.engine.libllama import Logits
from playground.engine.model import LoadedModel
from playground.engine.passes import Progress, Tell, Told
from playground.engine.pinning import pinned
from playground.engine.prompt import build_prompt
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
        return tuple(
            [
                Watched(
                    token,
                    _share(distribution, token),
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


class WatchPass(Told):
    """Follows words through a reply that is there already, under the parameters its tokens were drawn under.

    Raises BadInput, TemplateError when a word, the parameters or the reply cannot be used.
    """

    def __init__(self, model: LoadedModel, request: WatchRequest, tell: Tell, progress: Progress) -> None:
        given = [params for _, params in request.drawn if params is not None]
        for params in given:
            check(params)
        prompt = build_prompt(model, request.prompt).ids
        ids = build_prompt(model, request.prompt, request.reply_ids).ids
        if not prompt or not request.reply_ids or not request.drawn:
            raise BadInput("There is no reply to look at.", "Ask for one first.")
        super().__init__(ids[:-1], len(prompt) - 1, tell, progress)
        self._watch = WatchList(model, request.words)
        self._request = request
        self._changes = list(request.drawn)
        self._params: SamplingParams | None = None
        self._bending = Bending(model, prompt)
        self._bending.configure(given[0] if request.drawn[0][1] is not None else NEUTRAL)
        self._outside = False
        """True behind a token that a grammar does not allow: a person put it there."""
        self._figures: list[tuple[Watched, ...]] = []

    def read(self, position: int, logits: Logits) -> None:
        """See Pass."""
        index = position - self.first
        while self._changes and self._changes[0][0] <= index:
            self._change(self._changes.pop(0)[1])
        known = self._request.known[index] if index < len(self._request.known) else ()
        distribution = self._bending.read(pinned(logits, known))
        blind = self._outside or self._params is None
        throws = [] if blind else self._bending.look(1, self._watch.ids)
        unsure = self._params is not None and bool(unsure_stages(self._params))
        self._figures.append(
            tuple([_found(token, _share(distribution, token), throws, unsure) for token in self._watch.ids])
        )
        token = self._request.reply_ids[index]
        self._outside |= not self._bending.allows(token)
        if not self._outside:
            self._bending.accept(token)

    def _change(self, params: SamplingParams | None) -> None:
        self._params = params
        if self._outside or params is None:
            return
        try:
            self._bending.configure(params)
        except BadInput:  # a grammar that came into force where the reply did not fit it any more
            self._outside = True

    def finish(self) -> None:
        """See Pass."""
        self._bending.free()
        self.tell(WatchedReply(words=self._watch.words, figures=tuple(self._figures)))

    def fail(self, error: PlaygroundError) -> None:
        """See Pass."""
        self._bending.free()
        super().fail(error)

    def dropped(self) -> None:
        """See Pass."""
        self._bending.free()


def _share(distribution: Distribution, token: int) -> float:
    """The model's own probability of a token."""
    return math.exp(min(0.0, float(distribution.logits[token]) - distribution.log_sum))


def _found(token: int, before: float, throws: Sequence[Throw], unsure: bool) -> Watched:
    """A word at one position, however chance falls there."""
    if not throws:
        return Watched(token, before, None)
    after = sum([throw.chance * throw.prob(token) for throw in throws])
    cut = throws[0].choice.cut_by.get(token, -1)
    if unsure and not 0 <= cut < len(throws[0].choice.stages) - 1:
        return Watched(token, before, None)
    return Watched(token, before, after, -1 if after else cut)
