"""What guessing ahead gains: the last reply's request run again with it and without, beside the transcript."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import structs

from playground.backends.base import Backend
from playground.domain.errors import BadInput, Unsupported, as_error
from playground.domain.events import Event, TokenGenerated
from playground.domain.guess_gain import PAIRS, USUAL, GuessRun, failure, read_run
from playground.domain.messages import GenerationRequest, Role
from playground.domain.sampling import SamplingParams
from playground.domain.transcript import Turn

if TYPE_CHECKING:
    from playground.screens.pane import Pane
    from playground.screens.token_screen import TokenScreen

_streams: Final = itertools.count(-1, -1)
"""Ids of runs that belong to no session: those of sessions are above 0."""
_FEWEST: Final = 8
"""Tokens a reply must have: below, speed is chance."""


class Guessing:
    """Measures on the last reply."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    def measure(self) -> None:
        """Run the last reply with and without guessing, and tell what came of it."""
        self._screen.attempt(self._begin)

    def _begin(self) -> None:
        from playground.screens.guessing_dialog import GuessingDialog

        pane = self._screen.pane
        backend = pane.need_model()
        able = backend.capabilities
        if "speculate" not in able.params:
            raise Unsupported(f"{pane.name} cannot be asked to guess ahead.", able.why_not("speculate"))
        if any(other.session.busy for other in self._screen.all_panes):
            raise BadInput("A reply is still being written.", "It would share the machine: stop it, or wait.")
        request = _request(pane)
        most = pane.session.params.speculate or USUAL
        self._screen.app.push_screen(GuessingDialog(Measuring(backend, request, most)))


def _request(pane: Pane) -> GenerationRequest:
    """The last reply's request, with its seed and as many tokens as it had. Raises BadInput without a reply."""
    turn = pane.session.transcript.last(Role.ASSISTANT)
    if turn is None or turn.prompt is None or turn.params is None or len(turn.tokens) - turn.continued_at < _FEWEST:
        raise BadInput(
            f"There is no reply of {_FEWEST} tokens or more to measure on.", "Send a prompt first, then press Alt+Z."
        )
    given = turn.tokens[: turn.continued_at]
    ids = tuple(token.id for token in given if token.id is not None)
    text = b"".join(token.piece for token in given).decode(errors="replace")
    length = len(turn.tokens) - turn.continued_at
    params = structs.replace(turn.params, seed=_seed(turn), max_tokens=length)
    return GenerationRequest(stream=0, prompt=turn.prompt, params=params, reply_ids=ids, reply_text=text)


def _seed(turn: Turn) -> int:
    seed = turn.started.seed if turn.started is not None else None
    return seed if seed is not None else secrets.randbits(31)


class Measuring:
    """Runs in pairs, first with guessing and then without; a run that only fills the cache comes before them."""

    def __init__(self, backend: Backend, request: GenerationRequest, most: int) -> None:
        self._backend = backend
        self._request = request
        self.most = most
        """Tokens guessed at most."""
        self.tokens = request.params.max_tokens
        """Tokens of one run."""
        self.runs: list[GuessRun] = []
        self.written = 0
        """Tokens of the run under way."""
        self.stopped = False
        self._stream = 0

    @property
    def done_share(self) -> float:
        """How much of the work is done, 0 to 1."""
        whole = PAIRS * 2 * self.tokens
        return min(1.0, (sum(len(run.ids) for run in self.runs) + self.written) / whole) if whole else 1.0

    async def run(self, progress: Callable[[], None]) -> None:
        """Make all runs. Raises what a run ended with when it broke."""
        warm = structs.replace(self._request.params, max_tokens=1, speculate=0)
        await self._one(warm, progress)
        self.written = 0
        for number in range(PAIRS * 2):
            guessing = number % 2 == 0
            params = structs.replace(self._request.params, speculate=self.most if guessing else 0)
            events = await self._one(params, progress)
            self.written = 0
            run = read_run(events, guessing=guessing)
            if run is None:
                return
            self.runs.append(run)
            progress()

    async def _one(self, params: SamplingParams, progress: Callable[[], None]) -> list[Event]:
        events: list[Event] = []
        if self.stopped:
            return events
        self._stream = next(_streams)

        def take(event: Event) -> None:
            events.append(event)
            self.written += isinstance(event, TokenGenerated)

        request = structs.replace(
            self._request, stream=self._stream, params=params, submitted_at=time.monotonic(), watch=()
        )
        await self._backend.generate(request, take)
        if failed := failure(events):
            raise as_error(failed.problem)
        progress()
        return events

    async def stop(self) -> None:
        """End the run under way and make no more."""
        self.stopped = True
        if self._stream:
            await self._backend.stop(self._stream)
