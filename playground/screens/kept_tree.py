"""One conversation that is kept: who looks at it, under what its replies were written, and what of it is private."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs

from playground.domain.history import Setting, TreeChange, TreeInfo
from playground.domain.messages import Role
from playground.domain.session import Session
from playground.domain.transcript import Transcript, Turn

if TYPE_CHECKING:
    from playground.backends.base import Backend
    from playground.screens.pane import Pane
    from playground.services.history_models import ReplySettings
    from playground.services.history_recorder import Recorder


class KeptTree:
    """Follows one tree in all panes that look at it."""

    def __init__(self, recorder: Recorder, session: Session, replies: ReplySettings) -> None:
        """Nothing is taken yet.

        Args:
            recorder: Knows what is kept already.
            session: One that looks at the tree.
            replies: Under what replies were written, those aside that this is to find out.
        """
        self.recorder = recorder
        self.tree: Transcript = session.transcript
        self._session = session
        self._replies = replies
        self._private: set[int] = set()

    def seen_by(self, session: Session) -> bool:
        """True when a session looks at this tree."""
        return session.transcript.shares_with(self.tree)

    @property
    def writing(self) -> bool:
        """True while something is being written that is to be kept."""
        return any(turn.writing for turn in self.tree.turns.values() if turn.id not in self._private)

    @property
    def uid(self) -> str:
        """Its name in the history."""
        return self.recorder.uid

    def take(self, panes: Sequence[Pane], settings: Mapping[Pane, Setting]) -> TreeChange | None:
        """What is new since the last call; None when nothing is.

        Args:
            panes: Those that look at it, the one first whose head and parameters are to come back; may be none.
            settings: Under what each of them writes.
        """
        if panes:
            self._session = panes[0].session
        for pane in panes:
            self._attribute(pane, settings[pane])
        if not self.seen_by(self._session):  # the last pane went to another tree; all was taken before it went
            return None
        own = self._replies.known()
        setting = settings[panes[0]] if panes else self._last_of(own)
        change = self.recorder.take(self._session, setting, own)
        return self._public(change) if change is not None else None

    def _attribute(self, pane: Pane, setting: Setting) -> None:
        """Replies were written under what holds in their pane; several may have ended since the last look."""
        active, last = pane.session.active, pane.session.transcript.last(Role.ASSISTANT)
        name = pane.card.short_name if pane.card is not None else None
        for reply in self.tree.turns.values():
            quick = reply.prompt is not None and reply.model == name and not reply.writing
            if reply is active or (reply.id not in self._replies and (reply is last or quick)):
                self._replies.wrote(reply.id, setting)

    def learn_prompts(self, backend: Backend) -> Callable[[], Awaitable[None]] | None:
        """Finds out about the prompts of replies of a model that ended; None where all were asked about."""
        replies = self._replies.unasked(self.tree.turns, backend.card.short_name)
        return partial(self._replies.learn_prompts, replies, backend) if replies else None

    def _last_of(self, own: Mapping[int, Setting]) -> Setting:
        reply = self.tree.last(Role.ASSISTANT)
        return own.get(reply.id, Setting()) if reply is not None else Setting()

    def leave(self) -> None:
        """Nobody looks at it any more; what is found out later of its models still comes into the history."""
        self._replies.leave(self.uid)

    # -- what is private ---------------------------------------------------------------------------------------

    def leave_out(self, panes: Sequence[Pane], settings: Mapping[Pane, Setting]) -> None:
        """Nothing that became new since the last call of `take` is ever kept."""
        session = panes[0].session if panes else self._session
        change = self.recorder.take(session, settings[panes[0]] if panes else Setting())
        if change is not None:
            self._private |= {turn.id for turn in change.turns}
        self._private |= {turn.id for turn in self.tree.turns.values() if turn.writing}

    def _public(self, change: TreeChange) -> TreeChange | None:
        """The change without what is private; None when nothing is left."""
        for turn in change.turns:
            if turn.parent in self._private:  # what is said behind a private turn was sent with it
                self._private.add(turn.id)
        if not any(turn_id not in self._private for turn_id in self.tree.turns):
            return None
        hidden = self._private
        if hidden:
            change = structs.replace(
                change,
                info=self._public_info(change.info),
                turns=[turn for turn in change.turns if turn.id not in hidden],
                tokens=[tokens for tokens in change.tokens if tokens.turn not in hidden],
                replies={turn: reply for turn, reply in change.replies.items() if turn not in hidden},
                settings={turn: setting for turn, setting in change.settings.items() if turn not in hidden},
                ended=not self.writing,
            )
        return change

    def _public_info(self, info: TreeInfo) -> TreeInfo:
        head = self.tree.turns.get(info.head or 0)
        while head is not None and head.id in self._private:
            head = self.tree.turns.get(head.parent or 0)
        return structs.replace(info, head=head.id if head is not None else None)

    def is_private(self, turn: Turn) -> bool:
        """True for what was said while nothing was to be kept."""
        return turn.id in self._private

    def goes_on_private(self, head: int | None) -> bool:
        """True when the branch that ends with this turn has something private in it."""
        turn = self.tree.turns.get(head or 0) if self._private else None
        while turn is not None and turn.id not in self._private:
            turn = self.tree.turns.get(turn.parent or 0)
        return turn is not None
