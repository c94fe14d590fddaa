"""One conversation on screen: a session, what runs it, and the transcript that shows it."""

from __future__ import annotations

from msgspec import structs

from playground.domain.errors import BadInput
from playground.domain.events import Event, Failed
from playground.domain.messages import GenerationRequest, PromptParts, Role
from playground.domain.models import ModelInfo
from playground.domain.sampling import UNLIMITED
from playground.domain.session import Phase, Session
from playground.domain.tokens import Token
from playground.domain.transcript import Turn
from playground.services.runs import Runner
from playground.widgets.status_bar import StatusView
from playground.widgets.transcript import TranscriptPane


class Pane:
    """Puts a session's state on screen and a person's wishes into the session."""

    def __init__(self, session: Session, transcript: TranscriptPane) -> None:
        self.session = session
        self.runner = Runner(session)
        self.transcript = transcript
        self.info: ModelInfo | None = None
        self.editing: Turn | None = None
        """The user turn whose text is in the editor to be sent again."""
        self.draft_tokens = 0
        """Length of what is in the editor; 0 when it is empty or not counted yet."""
        self.ending = ""
        """How the last run ended, in words."""

    def send(self, text: str, pressed_at: float | None = None) -> None:
        """Send a prompt, or the edited one in place of the old. Raises BadInput."""
        self.check_model()
        turn, self.editing = self.editing, None
        request = self.session.resend(turn, text) if turn is not None else self.session.send(text)
        if pressed_at is not None:
            request = structs.replace(request, submitted_at=pressed_at)
        self._start(request)

    def regenerate(self) -> None:
        """Write another reply beside the last one. Raises BadInput."""
        self.check_model()
        self._start(self.session.regenerate())

    def continue_reply(self) -> None:
        """Let the last reply go on. Raises BadInput."""
        self.check_model()
        self._start(self.session.continue_reply())

    def check_model(self) -> None:
        """Raise BadInput when there is no model to run on."""
        if self.runner.backend is None:
            raise BadInput("No model is loaded.", "Choose one with F5.")

    def _start(self, request: GenerationRequest) -> None:
        self.ending = ""
        self.runner.start(request)
        self.transcript.view.follow_end()
        self.sync()

    def begin_edit(self) -> str:
        """Take the last user turn back into the editor; returns its text. Raises BadInput."""
        turn = self.session.transcript.last(Role.USER)
        if turn is None or self.session.busy:
            raise BadInput("There is no message to edit.", "Send one first, or stop the reply that is being written.")
        self.editing = turn
        return turn.text

    def switch_branch(self, step: int) -> str:
        """Show the next or previous version of the last turn that has several. Raises BadInput."""
        tree = self.session.transcript
        if self.session.busy:
            raise BadInput("A reply is still being written.", "Stop it with Esc, or wait for its end.")
        for turn in reversed(tree.path()):
            versions = tree.siblings(turn)
            if len(versions) > 1:
                place = (versions.index(turn) + step) % len(versions)
                tree.head = tree.newest_leaf(versions[place]).id
                self.sync()
                who = "message" if turn.role is Role.USER else "reply"
                return f"{who} {place + 1} of {len(versions)}"
        raise BadInput("There is only one version.", "Regenerate a reply or edit a message to make another.")

    def drain(self) -> list[Event]:
        """Apply what came from the model and bring the transcript up to date."""
        events = self.runner.drain()
        if events:
            if not self.session.busy:
                self._note_ending(events[-1])
            self.sync()
        return events

    def _note_ending(self, last: Event) -> None:
        turn = self.session.transcript.turns.get(self.session.transcript.head or 0)
        if isinstance(last, Failed):
            self.ending = "failed"
        elif turn is not None and turn.stop_reason is not None:
            self.ending = turn.stop_reason.sentence

    def refused_text(self, events: list[Event]) -> str:
        """The message of a run that was refused before a word was written; it goes back into the editor."""
        if events and isinstance(events[-1], Failed) and events[-1].problem.kind in ("PromptTooLong", "TemplateError"):
            text = self.session.discard_last_exchange()
            self.sync()
            return text
        return ""

    def sync(self) -> None:
        """Show the branch at the head."""
        name = self.info.short_name if self.info is not None else ""
        self.transcript.sync(self.session.transcript.path(), raw=self.session.mode == "raw", model=name)

    def last_token(self) -> Token | None:
        """The newest token of the branch on screen."""
        turn = self.session.transcript.last(Role.ASSISTANT)
        return turn.tokens[-1] if turn is not None and turn.tokens else None

    def status(self, state: str) -> StatusView:
        """What the status bar shows; `state` when the session itself has nothing to say."""
        session, figures, info = self.session, self.session.figures, self.info
        parts, reply = figures.parts, figures.reply_tokens
        if not session.busy:  # what was said is history now, and the draft is the prompt
            parts = PromptParts(parts.system, parts.history + parts.prompt + reply, self.draft_tokens)
            reply = 0
        limit = session.params.max_tokens
        return StatusView(
            model=info.short_name if info is not None else "",
            parts=parts,
            reply_tokens=reply,
            reserve=0 if limit == UNLIMITED else limit,
            context=info.n_ctx if info is not None else None,
            ttft_ms=figures.ttft_ms,
            tokens_per_second=figures.tokens_per_second,
            prefill_tokens_per_second=figures.prefill_tokens_per_second,
            cost=figures.cost if figures.cost_known else None,
            state=self._state() or state,
            busy=session.busy,
        )

    def _state(self) -> str:
        figures = self.session.figures
        match self.session.phase:
            case Phase.IDLE:
                return self.ending
            case Phase.SENT:
                return "sent"
            case Phase.PREFILL:
                return f"prefill {figures.prefill_done:,}/{figures.prefill_total:,}"
            case Phase.WRITING:
                return "writing"
