"""Keeps the replies of a sweep: a conversation for each prompt and model, its samples as versions of one reply."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import structs

from playground.domain.events import Event, Finished, StopReason
from playground.domain.history import ReplyText, Setting, StoredTurn, TokensChange, TreeChange, TreeInfo
from playground.domain.messages import ChatPrompt, Prompt, Role
from playground.domain.session import Session
from playground.domain.tokens import Token
from playground.domain.transcript import Begun, Turn
from playground.services.history_keeping import HistoryKeeping
from playground.services.history_labels import cell_label

if TYPE_CHECKING:
    from playground.backends.base import Backend, EventSink
    from playground.domain.experiments import Cell, Sweep
    from playground.domain.messages import GenerationRequest
    from playground.domain.models import LoadOptions

ORIGIN: Final = "sweep"
MOST_REPLIES: Final = 500
"""Of one conversation, which is opened as a whole: then another one begins."""


class KeptCell:
    """Follows one reply from its request to its end."""

    def __init__(self, request: GenerationRequest, model: str, setting: Setting, ended: Callable[[KeptCell], None]):
        """Nothing has come yet; `ended` is called once there is a reply to keep."""
        self.began_at = time.time()
        self.setting = setting
        self._session, self._ended = Session(request.params), ended
        self._session.model = model
        self.reply: Turn = self._session.transcript.add(Role.ASSISTANT, None)
        self._session.go_on(self.reply, request.prompt)
        self._session.stream = request.stream

    def beside(self, sink: EventSink) -> EventSink:
        """Takes what somebody else takes as well."""

        def take(event: Event) -> None:
            sink(event)
            self._session.apply(event)

        return take

    def end(self, finished: Finished | None) -> None:
        """Its end, with what it cost and the times that count; None when it broke.

        A reply that was stopped before its first word is none.
        """
        reply = self.reply
        reply.finished = finished or reply.finished
        if finished is not None and finished.timings.total_ms is not None:
            self.began_at = time.time() - finished.timings.total_ms / 1000  # before that it waited for a place
        if reply.tokens or reply.thinking or reply.stop_reason is not StopReason.CANCELLED:
            self._ended(self)


Keep = Callable[["Cell", "GenerationRequest"], KeptCell]
"""Begins to follow a cell."""


class _Written(NamedTuple):
    """A reply that is to be kept."""

    cell: Cell
    kept: KeptCell


@dataclass(slots=True)
class _Tree:
    """A conversation of the history."""

    prompt: list[tuple[StoredTurn, list[Token]]]
    uid: str = field(default_factory=lambda: uuid.uuid4().hex)
    replies: int = 0


class SweepHistory:
    """All conversations of one run of a sweep. All methods belong to one event loop."""

    def __init__(self, sweep: Sweep, keeping: HistoryKeeping) -> None:
        self._sweep = sweep
        self._keeping = keeping
        self._waiting: list[_Written] = []
        self._trees: dict[tuple[str, int], _Tree] = {}
        """By the model's reference and the number of the prompt."""
        keeping.follow(self)

    async def meet(self, backend: Backend, load: LoadOptions, cells: Iterable[Cell]) -> Keep | None:
        """Get to know a model before it writes; None when nothing is to be kept.

        Args:
            backend: The model.
            load: How it was loaded, if it is a local one.
            cells: What it will be asked.
        """
        from playground.services.history_models import prompt_ids

        if self._keeping.models is None:
            return None
        self._keeping.models.meet(backend, load)
        prompts = dict.fromkeys(cell.prompt for cell in cells)
        ids = {at: await prompt_ids(backend, self._sweep.prompts[at].prompt) for at in prompts}

        def keep(cell: Cell, request: GenerationRequest) -> KeptCell:
            setting = Setting(
                model_ref=backend.card.id,
                preset=self._sweep.settings[cell.setting].preset,
                prompt_ids=ids.get(cell.prompt, ()),
                origin=ORIGIN,
                batch=self._sweep.name,
            )
            name = backend.card.short_name
            return KeptCell(request, name, setting, lambda kept: self._waiting.append(_Written(cell, kept)))

        return keep

    def take(self) -> list[TreeChange]:
        """See Source: the replies that have ended since the last call, a change for each conversation."""
        waiting, self._waiting = self._waiting, []
        groups: dict[str, tuple[_Tree, list[_Written]]] = {}
        for one in waiting:
            tree = self._tree(one.kept.setting.model_ref, one.cell.prompt)
            tree.replies += 1
            groups.setdefault(tree.uid, (tree, []))[1].append(one)
        return [self._change(tree, replies) for tree, replies in groups.values()]

    def _tree(self, ref: str, at: int) -> _Tree:
        tree = self._trees.get((ref, at))
        if tree is None or tree.replies >= MOST_REPLIES:
            tree = self._trees[ref, at] = _Tree(_prompt_turns(self._sweep.prompts[at].prompt))
        return tree

    def _change(self, tree: _Tree, written: list[_Written]) -> TreeChange:
        parent = tree.prompt[-1][0].id if tree.prompt else None
        first = len(tree.prompt) + tree.replies - len(written) + 1
        turns: list[StoredTurn] = [turn for turn, _ in tree.prompt]
        tokens = [TokensChange(turn.id, 0, said) for turn, said in tree.prompt if said]
        replies: dict[int, ReplyText] = {}
        settings: dict[int, Setting] = {}
        models = self._keeping.models
        assert models is not None, "else nobody looks what is new"
        for number, (_, kept) in enumerate(written, first):
            reply, begun = kept.reply, Begun.AGAIN if number > len(tree.prompt) + 1 else Begun.REPLY
            turns.append(structs.replace(StoredTurn.of(reply), id=number, parent=parent, begun=begun))
            tokens += [TokensChange(number, 0, reply.tokens)] if reply.tokens else []
            replies[number] = ReplyText(len(reply.tokens), reply.content, kept.began_at)
            settings[number] = setting = models.complete(kept.setting)
            models.want_hash(tree.uid, setting)
        return TreeChange(
            uid=tree.uid,
            info=_info(written[-1].kept, turns[-1].id, structs.replace(setting, prompt_ids=())),
            turns=turns,
            tokens=tokens,
            replies=replies,
            settings=settings,
            ended=True,
            writer=tree.uid,
            begins_at=1,  # whoever opens it meanwhile and goes on does so in a copy
            title=f"sweep {self._sweep.name}",
            labels={number: cell_label(self._sweep, cell) for number, (cell, _) in enumerate(written, first)},
        )


def _info(last: KeptCell, head: int, setting: Setting) -> TreeInfo:
    prompt, params = last.reply.prompt, last.reply.params
    assert prompt is not None, "it was asked for"
    assert params is not None
    chat = isinstance(prompt, ChatPrompt)
    return TreeInfo(
        head=head, mode="chat" if chat else "raw", system=_system(prompt) or "", params=params, setting=setting
    )


def _system(prompt: Prompt) -> str | None:
    """The system message; None where there is none, which is not the same as an empty one."""
    first = prompt.messages[0] if isinstance(prompt, ChatPrompt) and prompt.messages else None
    return first.content if first is not None and first.role is Role.SYSTEM else None


def _prompt_turns(prompt: Prompt) -> list[tuple[StoredTurn, list[Token]]]:
    """What was said before the reply: the turns of a conversation, or the text."""
    if not isinstance(prompt, ChatPrompt):
        return [(StoredTurn(id=1, parent=None, role=Role.USER, text=prompt.text, raw=True), [])]
    messages = prompt.messages if _system(prompt) is None else prompt.messages[1:]
    turns: list[tuple[StoredTurn, list[Token]]] = []
    for number, message in enumerate(messages, 1):
        parent = number - 1 or None
        if message.role is not Role.ASSISTANT:
            turns.append((StoredTurn(id=number, parent=parent, role=Role.USER, text=message.content), []))
            continue
        given = Token(0, None, message.content.encode("utf-8", "replace"), None, None, None, None, chunk=True)
        said = StoredTurn(id=number, parent=parent, role=Role.ASSISTANT, begun=Begun.PREFILL, by_hand={0})
        turns.append((said, [given]))
    return turns
