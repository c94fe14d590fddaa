"""One prompt to several models and presets: what it will cost, the replies, and a row of figures for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from playground.backends.base import Backend
from playground.domain.compare_rows import CompareRow, PaneState, row_of
from playground.domain.endpoints import ModelRef
from playground.domain.errors import PlaygroundError, Problem
from playground.domain.events import Event, Failed, Finished
from playground.domain.messages import GenerationRequest
from playground.domain.models import ModelCard
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.domain.transcript import Transcript, Turn
from playground.services.accounts import Accounts
from playground.services.counting import TokenCounter
from playground.services.history_keeping import Conversation, HistoryKeeping
from playground.services.model_pool import ModelPool
from playground.services.runs import Runner

Told = Callable[[str], None]
"""Takes what is being done, a few words."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A model and the way it is sampled."""

    model: str
    """As a person wrote it."""
    preset: str
    params: SamplingParams


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one of them."""

    row: CompareRow
    text: str = ""
    problem: Problem | None = None
    notes: tuple[str, ...] = ()
    """What happened on the way, such as attempts that failed."""


class _Inbox:
    """What has come of a run, put into its session as often as somebody wants to see it."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.events: list[Event] = []

    def empty(self) -> None:
        """Apply what is new."""
        self.events += (event for event in self._runner.drain() if isinstance(event, Finished | Failed))


class ModelComparison:
    """One comparison. All methods belong to one event loop; `close` gives the models back."""

    def __init__(
        self,
        pool: ModelPool,
        candidates: Sequence[Candidate],
        prompt: str,
        *,
        system: str,
        raw: bool,
        tell: Told,
        keeping: HistoryKeeping,
    ) -> None:
        self._keeping = keeping
        self._pool = pool
        self._candidates = candidates
        self._prompt = prompt
        self._system = system
        self._raw = raw
        self._tell = tell
        self._counter = TokenCounter(pool.endpoints)
        self._refs: list[ModelRef | PlaygroundError] = []
        self._running: set[Runner] = set()
        self._stopped = asyncio.Event()
        self._outcomes: dict[int, Outcome] = {}
        self._first: Session | None = None
        """Has the tree that all replies stand in, as versions of each other."""
        self._kept: Conversation | None = None
        self._inboxes: list[_Inbox] = []
        self.accounts = Accounts(pool.settings, lambda: pool.endpoints)

    def find(self) -> None:
        """Find the models; reads folders. One that is not there becomes a row with the reason."""
        for candidate in self._candidates:
            try:
                self._refs.append(self._pool.find(candidate.model))
            except PlaygroundError as error:
                self._refs.append(error)

    async def estimate(self) -> list[float | None]:
        """US dollars that each request to a server would cost about; None where the price is unknown."""
        await self.accounts.load()
        costs: list[float | None] = []
        for candidate, ref in zip(self._candidates, self._refs, strict=True):
            if isinstance(ref, ModelRef) and ref.endpoint:
                card = ModelCard(id=ref.text, short_name=ref.name, provider=ref.endpoint)
                prompt = self._session(candidate).prompt(None, draft=self._prompt)
                tokens = (await self._counter.estimate_prompt(card, prompt)).tokens
                costs.append(self.accounts.estimate(card, tokens, candidate.params.max_tokens))
        return costs

    async def run(self) -> list[Outcome]:
        """Ask all of them: models on servers at once, those on this machine one after another, as figures need it.

        Replies are kept as they stream, as versions of the reply to one prompt.
        """
        async with self._keeping:
            return await self._run()

    async def _run(self) -> list[Outcome]:
        here: dict[str, list[int]] = {}
        hosted: list[int] = []
        for at, ref in enumerate(self._refs):
            if isinstance(ref, ModelRef) and ref.endpoint:
                hosted.append(at)
            else:
                here.setdefault(self._name(at), []).append(at)

        async def one_by_one() -> None:
            for places in here.values():  # a model with all its presets, so that it is loaded once
                await self._ask(places)

        await asyncio.gather(one_by_one(), *(self._ask([at]) for at in hosted))
        return [self._outcomes[at] for at in range(len(self._refs))]

    async def stop(self) -> None:
        """End what is running and begin nothing more; what was written stays."""
        self._stopped.set()
        for runner in list(self._running):
            await runner.stop()

    async def close(self) -> None:
        """Give everything back."""
        await self._counter.close()
        await self._pool.close_all()

    def _name(self, at: int) -> str:
        ref = self._refs[at]
        return ref.text if isinstance(ref, ModelRef) else self._candidates[at].model

    async def _ask(self, places: Sequence[int]) -> None:
        """Ask one model, once for each of its presets."""
        ref = self._refs[places[0]]
        try:
            if isinstance(ref, PlaygroundError):
                raise ref
            backend = await self._opened(ref)
        except PlaygroundError as error:
            for at in places:
                self._outcomes[at] = self._without_reply(at, error)
            return
        try:
            for at in places:
                if backend is None or self._stopped.is_set():
                    self._outcomes[at] = self._without_reply(at)
                else:
                    self._outcomes[at] = await self._reply(at, backend)
        finally:
            if backend is not None:
                await self._pool.close(backend)

    async def _opened(self, ref: ModelRef) -> Backend | None:
        """The model; None when nobody wants it any more."""
        self._tell(f"asking {ref.text}" if ref.endpoint else f"loading {ref.name.rpartition('/')[2]}")
        opening = asyncio.ensure_future(self._pool.open(ref, lambda _share: None))
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({opening, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                return await opening
            return None
        finally:
            for task in (opening, stopped):
                task.cancel()
            await asyncio.wait({opening, stopped})

    async def _reply(self, at: int, backend: Backend) -> Outcome:
        candidate = self._candidates[at]
        session = self._session(candidate)
        session.model = backend.card.short_name
        runner = Runner(session)
        runner.backend, runner.price = backend, self.accounts.price
        inbox = _Inbox(runner)
        self._inboxes.append(inbox)
        self._running.add(runner)
        try:
            self._tell(f"{backend.card.short_name} writes")
            runner.start(self._request(session))
            turn = session.active
            assert turn is not None, "a reply was asked for"
            self._keep(session, turn, backend, candidate)
            await runner.settle()
        finally:
            self._running.discard(runner)
        inbox.empty()
        if self._kept is not None:
            await self._kept.learn_prompt(turn, backend)
        card = runner.answering or backend.card
        for event in inbox.events:
            if isinstance(event, Finished):
                await self.accounts.settle(card, event)
            elif isinstance(event, Failed) and turn.tokens:
                await self.accounts.settle_broken(card)
        row = row_of(at + 1, turn, preset=candidate.preset)
        return Outcome(row=row, text=turn.content, problem=turn.problem, notes=tuple(turn.notes))

    def _request(self, session: Session) -> GenerationRequest:
        """Ask in the tree that all of them share."""
        if self._first is None:
            self._first = session
            return session.send(self._prompt)
        session.transcript = Transcript(beside=self._first.transcript)
        session.transcript.head = session.transcript.children(None)[0].id
        return session.regenerate()

    def _keep(self, session: Session, turn: Turn, backend: Backend, candidate: Candidate) -> None:
        if self._kept is None:
            self._kept = Conversation(self._keeping, session, "compare", self._empty_inboxes)
        preset = candidate.preset.removesuffix("*")
        self._kept.wrote(turn, backend, preset, self._pool.settings.load, session.options)

    def _empty_inboxes(self) -> None:
        for inbox in self._inboxes:
            inbox.empty()

    def _without_reply(self, at: int, error: PlaygroundError | None = None) -> Outcome:
        name = self._name(at).rpartition("/")[2].removesuffix(".gguf")
        preset = self._candidates[at].preset
        if error is None:
            return Outcome(row=CompareRow(number=at + 1, model=name, preset=preset, ending="not asked"))
        row = CompareRow(number=at + 1, model=name, preset=preset, state=PaneState.FAILED, ending=error.message)
        return Outcome(row=row, problem=error.problem)

    def _session(self, candidate: Candidate) -> Session:
        session = Session(candidate.params, self._system)
        session.mode = "raw" if self._raw else "chat"
        return session
