"""The token under the cursor as it would be with the sliders as they stand now."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from playground.domain.errors import PlaygroundError, Superseded
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Token
from playground.domain.transcript import Turn
from playground.domain.what_if import WhatIfRequest
from playground.screens.pane import Pane


class WhatIfs:
    """Asks for the pinned token under other parameters, once they are others than when it was pinned."""

    def __init__(self, ready: Callable[[], None]) -> None:
        self._ready = ready
        """Called when an answer is there."""
        self._pinned: tuple[int, int, int] | None = None
        """Stream-wide place of the token: pane, turn, index."""
        self._at_pin: SamplingParams | None = None
        self._asked: SamplingParams | None = None
        self._answer: Token | None = None
        self._time_ms = 0.0
        """When the token really came."""

    def look(self, pane: Pane, turn: Turn | None, token: Token | None) -> WhatIfRequest | None:
        """Tell what is pinned now; returns a question that is to be put to the model, None when there is none."""
        place = (id(pane), turn.id, token.index) if turn is not None and token is not None else None
        params = pane.session.params
        if place != self._pinned:
            self._pinned, self._at_pin = place, params
            self._asked = self._answer = None
        if turn is None or token is None or params == (self._asked or self._at_pin):
            return None
        if params == self._at_pin:
            self._asked = self._answer = None
            return None
        self._asked, self._time_ms = params, token.time_ms
        return self._question(pane, turn, token, params)

    def _question(self, pane: Pane, turn: Turn, token: Token, params: SamplingParams) -> WhatIfRequest | None:
        backend = pane.runner.backend
        before = [other.id for other in turn.tokens[: token.index]]
        ids = tuple(one for one in before if one is not None)
        if backend is None or not backend.capabilities.what_if or turn.prompt is None or token.id is None:
            return None
        if len(ids) < len(before) or turn.model != pane.session.model:
            return None
        return WhatIfRequest(prompt=turn.prompt, reply_ids=ids, chosen=token.id, params=params, asker=id(pane))

    async def ask(self, pane: Pane, request: WhatIfRequest) -> None:
        """Put a question. Raises what `Backend.what_if` raises; a newer question takes the place of this one."""
        backend = pane.runner.backend
        if backend is None:
            return
        place = self._pinned
        try:
            answer = await backend.what_if(request)
        except Superseded:
            return
        except PlaygroundError:
            self._answer = None
            raise
        if place == self._pinned and request.params == self._asked:
            self._answer = structs.replace(answer.token, time_ms=self._time_ms)
            self._ready()

    def token(self, recorded: Token | None) -> tuple[Token | None, bool]:
        """What to show in place of the recorded token, and whether it is a what-if."""
        return (self._answer, True) if self._answer is not None and recorded is not None else (recorded, False)
