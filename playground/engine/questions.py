"""Everything that can be asked about a text, answered beside the streams."""

from __future__ import annotations

from collections.abc import Sequence

from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.messages import Prompt
from playground.domain.scoring import ScoreRequest
from playground.domain.what_if import Continuation, ReplayRequest, WatchRequest
from playground.engine.continuation import continue_text
from playground.engine.libllama import SCRATCH
from playground.engine.model import LoadedModel
from playground.engine.passes import Lane, Pass, Progress, Tell
from playground.engine.prompt import build_prompt
from playground.engine.score import ReplayPass, ScorePass
from playground.engine.sequences import SequencePool
from playground.engine.watch import WatchPass
from playground.engine.what_if import WhatIfs


class Questions:
    """Two lanes, so that a question about a token does not wait for a long text to be scored."""

    def __init__(self, model: LoadedModel, pool: SequencePool, *, batch: int, streams: int) -> None:
        self._model = model
        self._lanes = [Lane(model, pool, streams + number, batch) for number in range(SCRATCH)]
        self._quick, self._long = self._lanes
        self._open: dict[int, Pass] = {}
        """Replays, scores and watches by ticket, until they are answered."""
        self.what_ifs = WhatIfs(model, self._quick)

    @property
    def busy(self) -> bool:
        """True while something has to be computed for an answer."""
        return any(lane.busy for lane in self._lanes)

    def replay(self, ticket: int, request: ReplayRequest, tell: Tell, progress: Progress) -> None:
        """Look at a reply under other parameters; `tell` gets a Replay or the error."""
        try:
            self._begin(ticket, ReplayPass(self._model, request, tell, progress))
        except PlaygroundError as error:
            tell(error)

    def score(self, ticket: int, request: ScoreRequest, tell: Tell, progress: Progress) -> None:
        """Score a text; `tell` gets a Score or the error."""
        try:
            self._begin(ticket, ScorePass(self._model, request, tell, progress))
        except PlaygroundError as error:
            tell(error)

    def watch(self, ticket: int, request: WatchRequest, tell: Tell, progress: Progress) -> None:
        """Follow words through a reply; `tell` gets a WatchedReply or the error."""
        try:
            self._begin(ticket, WatchPass(self._model, request, tell, progress))
        except PlaygroundError as error:
            tell(error)

    def _begin(self, ticket: int, wanted: Pass) -> None:
        self._long.submit(wanted)
        self._open = {number: one for number, one in self._open.items() if self._long.holds(one)}
        self._open[ticket] = wanted

    def withdraw(self, ticket: int) -> None:
        """Forget a replay, a score or a watch; nothing happens when it is answered already."""
        wanted = self._open.pop(ticket, None)
        if wanted is not None:
            self._long.drop(wanted)

    def continuation(self, prompt: Prompt, reply_ids: Sequence[int], text: str) -> Continuation | PlaygroundError:
        """The tokens of a text behind a prompt and the beginning of a reply."""
        try:
            if not text:
                raise BadInput("The text to go on with is empty.", "Type at least one character.")
            return continue_text(self._model, build_prompt(self._model, prompt, reply_ids).ids, text)
        except PlaygroundError as error:
            return error

    def step(self, *, shared: bool) -> None:
        """Compute a piece for the first lane that waits; a small one while streams share the processor."""
        for lane in self._lanes:
            if lane.busy:
                lane.step(shared=shared)
                return

    def give_room(self) -> bool:
        """Give up what is held for later questions; False when there is nothing."""
        return any(lane.give_room() for lane in self._lanes)

    def break_off(self) -> bool:
        """End what is under way, because a stream needs its room; False when there is nothing."""
        return any(lane.break_off() for lane in self._lanes)
