"""What became new in a conversation since the last look at it.

A look costs next to nothing where nothing changed, and otherwise what is new, however long the conversation.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from playground.domain.history import BEGINNING, ReplyText, Setting, StoredTurn, TokensChange, TreeChange, TreeInfo
from playground.domain.messages import Role
from playground.domain.session import Session
from playground.domain.tokens import Token, join_text
from playground.domain.transcript import Turn

_NOBODY: Final[Mapping[int, Setting]] = MappingProxyType({})


@dataclass(slots=True)
class _Kept:
    """What of a turn is kept already."""

    look: object = None
    """Everything about it that can change, the tokens aside."""
    count: int = 0
    last: Token | None = None
    """The token that was its last one."""
    setting: Setting | None = None


@dataclass(slots=True)
class Recorder:
    """Follows one tree, in however many panes it is on screen."""

    uid: str = field(default_factory=lambda: uuid.uuid4().hex)
    _kept: dict[int, _Kept] = field(default_factory=dict)
    _info: TreeInfo | None = None
    _deleted: frozenset[int] = frozenset()
    _ended: bool = True
    _writer: str = field(default_factory=lambda: uuid.uuid4().hex)
    _begins_at: int = 0

    def take(self, session: Session, setting: Setting, own: Mapping[int, Setting] = _NOBODY) -> TreeChange | None:
        """What is new; None when nothing is.

        Args:
            session: One that looks at the tree; its head and parameters are those that come back.
            setting: Under what replies are written in it now.
            own: By turn, under what it was written where that is something else, or more is known of it by now.
        """
        tree = session.transcript
        turns: list[StoredTurn] = []
        tokens: list[TokensChange] = []
        replies: dict[int, ReplyText] = {}
        settings: dict[int, Setting] = {}
        for turn in tree.turns.values():
            kept = self._kept.setdefault(turn.id, _Kept())
            look, new = _look(turn), _new_tokens(turn, kept)
            if new is not None:
                tokens.append(new)
            told = own.get(turn.id, setting if turn.writing or kept.look is None else kept.setting)
            if look == kept.look and new is None and told == kept.setting:
                continue
            kept.look, kept.count = look, len(turn.tokens)
            kept.last = turn.tokens[-1] if turn.tokens else None
            turns.append(StoredTurn.of(turn))
            if turn.role is Role.ASSISTANT:
                replies[turn.id] = _text(turn)
                if told != kept.setting and told is not None:
                    settings[turn.id] = kept.setting = told
        info = TreeInfo(
            head=tree.head, mode=session.mode, system=session.system, params=session.params, setting=setting
        )
        deleted = frozenset(turn_id for turn_id in self._kept if turn_id not in tree.turns)
        ended = not any(turn.writing for turn in tree.turns.values())
        same = (info, deleted, ended) == (self._info, self._deleted, self._ended)
        if not tree.turns or (not turns and same):
            return None
        self._info, self._deleted, self._ended = info, deleted, ended
        return TreeChange(
            uid=self.uid,
            info=info,
            turns=turns,
            tokens=tokens,
            deleted=deleted,
            replies=replies,
            settings=settings,
            ended=ended,
            writer=self._writer,
            begins_at=self._begins_at,
        )

    def knows(self, session: Session, settings: Mapping[int, Setting] = _NOBODY) -> None:
        """Everything in this session, with these settings, is kept already, as when it was read from the history."""
        for turn in session.transcript.turns.values():
            last = turn.tokens[-1] if turn.tokens else None
            self._kept[turn.id] = _Kept(_look(turn), len(turn.tokens), last, settings.get(turn.id))
        self._begins_at = max(self._kept, default=0) + 1


def _look(turn: Turn) -> object:
    return (
        *(turn.text, turn.title, turn.started, turn.finished, turn.problem, turn.trimmed_bytes, turn.continued_at),
        *(len(turn.marks), turn.marks[-1] if turn.marks else None, len(turn.notes), len(turn.thinking)),
        *(len(turn.by_hand), turn.model, turn.writing),
    )


def _new_tokens(turn: Turn, kept: _Kept) -> TokensChange | None:
    tokens = turn.tokens
    whole = len(tokens) >= kept.count and (not kept.count or tokens[kept.count - 1] is kept.last)
    if whole:
        return TokensChange(turn.id, kept.count, tokens[kept.count :]) if len(tokens) > kept.count else None
    # Tokens were taken back, and perhaps others put there. What stands before them was never touched, but how many
    # those are is not known here: a reply is short enough to be kept anew.
    return TokensChange(turn.id, 0, tokens[:])


def _text(turn: Turn) -> ReplyText:
    count = len(turn.tokens)
    if turn.finished is not None or turn.problem is not None:
        return ReplyText(count, turn.content)
    return ReplyText(count, join_text([token.piece for token in turn.tokens[:BEGINNING]])[:BEGINNING])
