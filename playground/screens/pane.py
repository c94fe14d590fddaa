"""One conversation on screen: a session, what runs it, and the transcript that shows it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import structs

from playground.backends.base import Backend
from playground.domain.compare_rows import Perplexity
from playground.domain.errors import BadInput, Problem
from playground.domain.events import Event
from playground.domain.fitting import Cut
from playground.domain.forking import begun
from playground.domain.messages import GenerationRequest, Prompt, PromptParts, Role
from playground.domain.models import ModelCard
from playground.domain.session import Phase, Session
from playground.domain.stepping import hold, leave, tidy
from playground.domain.tokens import Token
from playground.domain.transcript import Turn
from playground.screens.tuning import Tuning
from playground.services.model_slot import ModelSlot
from playground.services.runs import Runner

if TYPE_CHECKING:
    from playground.widgets.pane_view import PaneView
    from playground.widgets.transcript import TranscriptPane

NO_MODEL_HINT: Final = "Choose one with F5."
_LOADING: Final = ("The model is still loading.", "Try again when it is there.")
_MOMENT_S: Final = 0.1
"""A fork on a cached beginning has its first token sooner; to draw status bar and inspector takes as long as that."""
REFUSALS: Final = ("PromptTooLong", "TemplateError")
"""Kinds of problems for which a message can be mended and sent again."""


class Measured(NamedTuple):
    """The tokens of a prompt that is being written."""

    parts: PromptParts
    exact: bool
    """False for an estimate."""
    place: object
    """`Pane.place` when it was counted."""


class Pane:
    """Puts a session's state on screen and a person's wishes into the session."""

    def __init__(self, session: Session, view: PaneView, slot: ModelSlot, tuning: Tuning) -> None:
        self.session = session
        self.runner = Runner(session)
        self.view = view
        self.slot = slot
        self.tuning = tuning
        self.card: ModelCard | None = None
        """The model that answers; None while there is none."""
        self.model_state = ""
        """What there is to know about the model; empty when it is there and can be asked."""
        self.opening = False
        """True from the wish for a model until it is there or cannot be had."""
        self.settled = asyncio.Event()
        """Set while no model is being opened."""
        self.waiting: tuple[str, float] | None = None
        """A prompt that goes as soon as the model is there, and `time.monotonic()` when it was sent."""
        self.load_number = 0
        """Counts the models that were asked for: an answer to an older wish is ignored."""
        self.editing: Turn | None = None
        """The user turn whose text is in the editor to be sent again."""
        self.remedy = NO_MODEL_HINT
        """What to do when there is no model."""
        self.stepping = False
        """True while replies are written token by token: they wait for each."""
        self.asked_at = 0.0
        """`time.monotonic()` when the last reply was asked for."""
        self.single = 0
        """Id of the last run that was for one token alone."""
        self.draft: Measured | None = None
        """Everything that would be sent with what is in the editor; None when that is empty or not counted yet."""
        self.perplexity = Perplexity()
        """Kept from frame to frame: it costs only what is new."""
        self._seen: object = None
        """What was on screen at the last look at a tree to which other panes may write."""
        self._before: tuple[int | None, Turn | None] = (None, None)
        """Head and edited turn as they were before the last message was sent."""
        self._aside: list[Event] = []
        """Events that were applied between two frames, for whoever asks for them with the next one."""

    @property
    def transcript(self) -> TranscriptPane:
        """The conversation as it stands on screen."""
        return self.view.transcript

    @property
    def name(self) -> str:
        """Short name of the model that answers from now on, or is being opened; empty without one."""
        if self.card is not None:
            return self.card.short_name
        return self.slot.ref.name.rsplit("/", 1)[-1] if self.slot.ref is not None else ""

    def attach(self, backend: Backend) -> None:
        """Let a model answer from now on."""
        self.opening = False
        self.settled.set()
        self.runner.backend, self.card = backend, backend.card
        self.session.model = backend.card.short_name
        self.model_state, self.remedy = "", NO_MODEL_HINT

    def detach(self, state: str, remedy: str = NO_MODEL_HINT, *, opening: bool = False) -> None:
        """There is no model any more, or not yet: what to say about it, and what can be done."""
        self.opening = opening
        if opening:
            self.settled.clear()
        else:
            self.settled.set()
        self.runner.backend = None
        self.model_state, self.remedy = state, remedy

    @property
    def place(self) -> object:
        """Where the next message goes: what is in the editor was counted for this place."""
        return self.session.transcript.head, self.editing, self.session.system, self.session.mode

    def prompt_with(self, text: str) -> Prompt:
        """What would be sent with this text, or with it in place of the message that is being edited."""
        tree = self.session.transcript
        return self.session.prompt(tree.head if self.editing is None else self.editing.parent, draft=text)

    def send(
        self, text: str, pressed_at: float | None = None, cut: Cut | None = None, begin: Sequence[Token] = ()
    ) -> None:
        """Send a prompt, or the edited one in place of the old; shortened when the person chose so. Raises BadInput.

        The reply begins with the tokens `begin`.
        """
        self.need_model()
        before = (self.session.transcript.head, self.editing)
        if self.editing is None:
            leave(self.session)
        turn, self.editing = self.editing, None
        request = self.session.resend(turn, text) if turn is not None else self.session.send(text)
        if pressed_at is not None:
            request = structs.replace(request, submitted_at=pressed_at)
        if cut is not None:
            params = structs.replace(request.params, max_tokens=cut.max_tokens)
            request = structs.replace(request, prompt=cut.prompt, params=params)
            if self.session.active is not None:
                self.session.active.prompt = cut.prompt
                self.session.active.notes.append(_note_of(cut))
        self._before = before
        self.start(self._begun(request, begin))

    def regenerate(self, begin: Sequence[Token] = ()) -> None:
        """Write another reply beside the last one, one that begins with the tokens `begin`. Raises BadInput."""
        self.need_model()
        self.start(self._begun(self.session.regenerate(), begin))

    def _begun(self, request: GenerationRequest, begin: Sequence[Token]) -> GenerationRequest:
        return begun(request, self.session.active, begin) if begin and self.session.active is not None else request

    async def end_reply(self) -> None:
        """Stop the reply that is being written, if there is one, and take what still comes."""
        await self.runner.stop()
        await self.runner.settle()
        self.catch_up()

    def catch_up(self) -> None:
        """Take what is there without waiting for the next frame, which is told of it all the same."""
        self._aside += self._applied()
        self.sync()

    def need_model(self) -> Backend:
        """What there is to run on. Raises BadInput when there is nothing."""
        if self.runner.backend is None:
            raise BadInput(*(_LOADING if self.opening else ("No model is loaded.", self.remedy)))
        return self.runner.backend

    def start(self, request: GenerationRequest) -> None:
        """Run a request that the session made; going token by token, wait for the first token instead."""
        if self.stepping:
            hold(self.session)
            if self.view.has_class("-active"):
                self.transcript.view.focus()  # the next key is one that chooses a token
        else:
            self.asked_at = time.monotonic()
            self.runner.start(request)
        self.transcript.view.follow_end()
        self.sync()

    @property
    def about_to_write(self) -> bool:
        """True for a moment after a reply was asked for: its first token may come, and what else is drawn waits."""
        awaited = self.session.phase in (Phase.SENT, Phase.PREFILL)
        return awaited and time.monotonic() - self.asked_at < _MOMENT_S

    def begin_edit(self) -> str:
        """Take the last user turn back into the editor; returns its text. Raises BadInput."""
        turn = self.session.transcript.last(Role.USER)
        if turn is None or self.session.busy:
            raise BadInput("There is no message to edit.", "Send one first, or stop the reply that is being written.")
        self.editing = turn
        return turn.text

    def drain(self) -> list[Event]:
        """Apply what came from the model and bring the transcript up to date."""
        events, self._aside = [*self._aside, *self._applied()], []
        tree = self.session.transcript
        head = tree.turns.get(tree.head) if tree.head is not None else None
        # Panes beside this one may have added a version, or write the reply that is on screen here.
        seen = (tree.changes, tree.head, head.writing, len(head.tokens)) if head is not None else tree.changes
        if events or seen != self._seen:
            self._seen = seen
            self.sync()
        return events

    def _applied(self) -> list[Event]:
        events = self.runner.drain()
        if any(event.stream == self.single for event in events):
            tidy(self.session)
        return events

    def take_back(self, problem: Problem) -> str:
        """Undo a message that was refused before a word was written; returns its text for the editor."""
        tree = self.session.transcript
        reply = tree.last(Role.ASSISTANT)
        if problem.kind not in REFUSALS or reply is None or reply.tokens:
            return ""
        again = len(tree.siblings(reply)) > 1
        text = self.session.discard_last_exchange()
        if again:
            tree.head = tree.newest_leaf(tree.turns[tree.head]).id if tree.head is not None else None
        else:
            head, editing = self._before
            if head is None or head in tree.turns:  # neither may have been deleted meanwhile
                tree.head = head
            self.editing = editing if editing is not None and editing.id in tree.turns else None
        self.sync()
        return "" if again else text

    def sync(self) -> None:
        """Show the branch at the head."""
        name = self.card.short_name if self.card is not None else ""
        tree = self.session.transcript
        raw = self.session.mode == "raw"
        self.transcript.sync(tree.path(), raw=raw, model=name, place=tree.place, changes=tree.changes)

    @property
    def has_words(self) -> bool:
        """True when the last run brought something before it ended."""
        turn = self.session.transcript.last(Role.ASSISTANT)
        return turn is not None and (len(turn.tokens) > turn.continued_at or bool(turn.thinking))

    def last_token(self) -> Token | None:
        """The newest token of the branch on screen."""
        turn = self.session.transcript.last(Role.ASSISTANT)
        return turn.tokens[-1] if turn is not None and turn.tokens else None


def _note_of(cut: Cut) -> str:
    """What the model did not get, for the transcript."""
    if cut.kind == "reply":
        return f"The reply was limited to {cut.max_tokens:,} tokens, so that it fits the context window."
    return f"Left out, so that the rest fits the context window: {cut.left_out}."
