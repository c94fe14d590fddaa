"""What a position would look like under other parameters: its logits are computed once and held."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import structs

from playground.domain.errors import BadInput, PlaygroundError, Superseded
from playground.domain.messages import Prompt
from playground.domain.params import check
from playground.domain.tokens import Token
from playground.domain.what_if import Column, Known, Outcome, WhatIf, WhatIfRequest
from playground.engine.bending import Bending, Throw, unsure_stages
from playground.engine.capture import Distribution
from playground.engine.columns import columns
from playground.engine.libllama import Logits
from playground.engine.model import LoadedModel
from playground.engine.passes import Lane, Pass
from playground.engine.pinning import pinned
from playground.engine.prompt import build_prompt
from playground.engine.token_record import record_token

_HELD_BYTES: Final = 8 << 20
"""Logits of positions that are held: eight of the largest vocabularies, a row each."""

Place = tuple[Prompt, tuple[int, ...]]
Tell = Callable[[WhatIf | PlaygroundError], None]


class Held(NamedTuple):
    """A position whose logits are known."""

    ids: tuple[int, ...]
    """Every token before the position."""
    logits: Logits
    recomputed: bool


class _Position(Pass):
    """Computes the logits of one position for the newest question about it."""

    def __init__(self, owner: WhatIfs, request: WhatIfRequest, tell: Tell, ids: tuple[int, ...]) -> None:
        super().__init__(ids, len(ids) - 1)
        self.request = request
        self.tell = tell
        self._owner = owner
        self._logits: Logits | None = None

    def read(self, position: int, logits: Logits) -> None:
        self._logits = logits.copy()

    def finish(self) -> None:
        assert self._logits is not None
        self._owner.computed(self, self._logits)

    def fail(self, error: PlaygroundError) -> None:
        self._owner.failed(self, error)


class WhatIfs:
    """Answers questions about positions. For a position that is held, an answer costs the samplers alone."""

    def __init__(self, model: LoadedModel, lane: Lane) -> None:
        self._model = model
        self._lane = lane
        self._held: OrderedDict[Place, Held] = OrderedDict()
        self._pending: dict[int, _Position] = {}
        """The pass under way for each asker."""
        self._bending: tuple[Place, Bending] | None = None
        """The samplers of the place that was asked about last."""
        self._columns: tuple[object, tuple[Column, ...]] = (None, ())
        self._pinned: tuple[Held, Known, Held] | None = None
        """The place that was asked about last as it was computed, what is known of it, and both together."""

    def ask(self, request: WhatIfRequest, tell: Tell) -> None:
        """Answer now where the position is held, else after the steps it takes to compute it."""
        try:
            self._check(request)
            place = (request.prompt, request.reply_ids)
            waiting = self._pending.get(request.asker)
            if waiting is not None:
                waiting.tell(Superseded("A newer question took this one's place."))
                if (waiting.request.prompt, waiting.request.reply_ids) == place:
                    waiting.request, waiting.tell = request, tell
                    return
                self._lane.drop(waiting)
                del self._pending[request.asker]
            held = self._held.get(place)
            if held is not None:
                tell(self._answer(request, held, 0))
                return
            ids = build_prompt(self._model, request.prompt, request.reply_ids).ids
            if not ids:
                raise BadInput("Nothing stands before this token, so the model has no opinion about it.")
            wanted = _Position(self, request, tell, ids)
            self._lane.submit(wanted)
            self._pending[request.asker] = wanted
        except PlaygroundError as error:
            tell(error)

    def computed(self, wanted: _Position, logits: Logits) -> None:
        """The logits of a position are there."""
        self._pending.pop(wanted.request.asker, None)
        held = Held(tuple(wanted.ids), logits, wanted.cached == 0 and not self._model.info.can_cut)
        self._held[(wanted.request.prompt, wanted.request.reply_ids)] = held
        while len(self._held) > max(2, _HELD_BYTES // logits.nbytes):
            self._held.popitem(last=False)
        try:
            wanted.tell(self._answer(wanted.request, held, len(wanted.ids) - wanted.cached))
        except PlaygroundError as error:
            wanted.tell(error)

    def failed(self, wanted: _Position, error: PlaygroundError) -> None:
        """They could not be computed."""
        self._pending.pop(wanted.request.asker, None)
        wanted.tell(error)

    def _check(self, request: WhatIfRequest) -> None:
        check(request.params)
        if request.chosen is not None and not 0 <= request.chosen < self._model.info.n_vocab:
            raise BadInput(
                "This token was written by a model with other tokens.", "Load that model again to ask about it."
            )

    def _answer(self, request: WhatIfRequest, held: Held, computed: int) -> WhatIf:
        place = (request.prompt, request.reply_ids)
        self._held.move_to_end(place)
        if self._bending is None or self._bending[0] != place:
            if self._bending is not None:
                self._bending[1].free()
            self._bending = (place, Bending(self._model, held.ids, len(request.reply_ids)))
        bending, held = self._bending[1], self._pin(held, request.known)
        outcomes = _outcomes(self._model, bending, request, held)
        token = mixed(outcomes)
        return WhatIf(
            token=token,
            params=request.params,
            columns=self._table(bending, request, held, token),
            outcomes=tuple(outcomes) if len(outcomes) > 1 else (),
            unsure=unsure_stages(request.params),
            computed=computed,
            recomputed=held.recomputed,
        )

    def _pin(self, held: Held, known: Known) -> Held:
        """The position with what was recorded of it."""
        if not known:
            return held
        if self._pinned is None or self._pinned[0] is not held or self._pinned[1] != known:
            self._pinned = held, known, held._replace(logits=pinned(held.logits, known))
        return self._pinned[2]

    def _table(self, bending: Bending, request: WhatIfRequest, held: Held, token: Token) -> tuple[Column, ...]:
        """The position at each temperature; kept while nothing but the temperature moves."""
        ids = [candidate.id for candidate in token.top if candidate.id is not None]
        key = (id(held.logits), ids, structs.replace(request.params, temperature=0.0))
        if self._columns[0] != key:
            self._columns = (key, columns(bending, request.params, held.logits, ids))
        return self._columns[1]


def _outcomes(model: LoadedModel, bending: Bending, request: WhatIfRequest, held: Held) -> list[Outcome]:
    bending.configure(request.params)
    distribution = bending.read(held.logits)
    also = () if request.chosen is None else (request.chosen,)
    return [
        Outcome(throw.chance, _token(model, distribution, request, throw))
        for throw in bending.look(request.params.top, also)
    ]


def _token(model: LoadedModel, distribution: Distribution, request: WhatIfRequest, throw: Throw) -> Token:
    choice = throw.choice
    return record_token(
        model,
        distribution,
        request.chosen,
        choice.top,
        index=len(request.reply_ids),
        prob=choice.prob,
        cut_by=choice.cut_by,
        stages=choice.stages,
    )


def mixed(outcomes: list[Outcome]) -> Token:
    """The token before chance has fallen: every prob is the mean of the outcomes', weighted by their chances."""
    first = outcomes[0].token
    if len(outcomes) == 1:
        return first
    top = []
    for candidates in zip(*(outcome.token.top for outcome in outcomes), strict=True):
        pairs = zip(outcomes, candidates, strict=True)
        prob = sum(outcome.chance * (candidate.prob or 0.0) for outcome, candidate in pairs)
        cut_by = candidates[0].cut_by if prob == 0.0 else -1
        top.append(structs.replace(candidates[0], prob=prob, cut_by=cut_by))
    own = first.prob
    if own is not None:
        own = sum(outcome.chance * (outcome.token.prob or 0.0) for outcome in outcomes)
    return structs.replace(first, top=tuple(top), prob=own)
