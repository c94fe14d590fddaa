"""What is to be run so that a reply of the history comes again: the same model, prompt, seed and parameters."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from playground.domain.counts import count_of
from playground.domain.endpoints import ModelRef
from playground.domain.errors import BadInput, ModelFileError
from playground.domain.events import StopReason
from playground.domain.history import Entry, Setting, StoredTree, StoredTurn
from playground.domain.messages import GenerationRequest
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Token, join_text
from playground.domain.usage import Usage
from playground.services.history import read_history
from playground.services.toml_files import one_line

if TYPE_CHECKING:
    from playground.services.history_reader import HistoryReader


class ReplayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What will be run."""

    entry: Entry
    setting: Setting
    model: ModelRef
    request: GenerationRequest
    before: list[Token]
    """Tokens of the last run on the reply: what is to come again."""
    ended: str
    """Why that run ended, in words."""
    cut_short: bool
    """True when a person or an accident ended it."""
    notes: list[str] = []
    """What stands in the way of an exact repetition."""
    cached: int = 0
    """Tokens of the prompt that were not computed for this reply, but came from replies before it."""
    by_hand: frozenset[int] = frozenset()
    """Tokens of the whole reply that a person chose in its last run: they cannot be drawn again. Then `before` is the
    whole reply, as nothing of it is one run."""
    earlier: list[GenerationRequest] = []
    """Those replies: run first, they leave the same cache behind."""
    usage: Usage | None = None
    """What was counted of that run; None when it did not come to its end."""

    @property
    def hosted(self) -> bool:
        """True when it costs money, perhaps, and need not repeat."""
        return bool(self.model.endpoint) and self.model.endpoint != "replay"


def find_plan(path: Path, number: int, find: Callable[[str], ModelRef]) -> ReplayPlan:
    """What to run for the reply with this number in a history file. Reads files, so it belongs in a thread.

    Raises what `plan_replay` does, HistoryUnusable, and BadInput when there is no such reply.
    """

    def read(reader: HistoryReader) -> tuple[StoredTree, Entry]:
        entry = reader.entry(number)
        return reader.tree(entry.tree), entry

    return plan_replay(*read_history(path, read), find)


def plan_replay(tree: StoredTree, entry: Entry, find: Callable[[str], ModelRef]) -> ReplayPlan:
    """What to run for a reply of the history.

    Args:
        tree: The conversation of the reply.
        entry: The reply.
        find: Finds a model by its reference; see `ModelPool.find`. It is not asked for a path that leads nowhere.

    Raises:
        BadInput: there is nothing to repeat, or the model is not known any more.
        ModelFileError: its file is gone.
    """
    turn, tokens = next(((turn, tokens) for turn, tokens in tree.turns if turn.id == entry.turn), (None, []))
    if turn is None or turn.prompt is None:
        raise BadInput("This reply cannot be run again: what it was asked was not kept.", "Choose another one.")
    by_hand = frozenset(turn.by_hand & set(range(turn.continued_at, len(tokens))))
    before = tokens if by_hand else tokens[turn.continued_at :]
    if not before:
        raise BadInput("This reply cannot be run again: there is no token to compare.", "Choose another one.")
    setting = tree.settings.get(entry.turn, Setting())
    model = _find_model(setting.model_ref, find)
    if by_hand and (model.endpoint or any(token.id is None for token in tokens)):
        raise BadInput(
            f"This reply cannot be run again: {len(by_hand):,} of its {count_of(len(tokens), 'token')} "
            f"{'was' if len(by_hand) == 1 else 'were'} chosen by hand.",
            "Only a local model can look at such tokens where they stand." if model.endpoint else "Choose another one.",
        )
    notes = (
        [] if setting.model_hash or model.endpoint else ["The file's hash was not kept: it may be another file now."]
    )
    return ReplayPlan(
        entry=entry,
        setting=setting,
        model=model,
        request=_request(tree, turn, tokens, setting),
        before=before,
        ended=_ended(turn),
        cut_short=turn.finished is None or turn.finished.reason is StopReason.CANCELLED,
        notes=notes + _notes(turn, setting, seeded=not by_hand),
        by_hand=by_hand,
        cached=(turn.started.cached_tokens or 0) if turn.started is not None and not model.endpoint else 0,
        earlier=_earlier(tree, turn),
        usage=turn.finished.usage if turn.finished is not None else None,
    )


def _find_model(ref: str, find: Callable[[str], ModelRef]) -> ModelRef:
    if not ref:
        raise BadInput("This reply cannot be run again: nobody kept which model wrote it.", "Choose another one.")
    if os.path.isabs(ref) and not os.path.isfile(ref):
        raise ModelFileError(
            f"The model is gone: there is no file {one_line(ref)} any more.",
            "Put it back, or open the conversation and let another model answer.",
        )
    return find(ref)


def _earlier(tree: StoredTree, turn: StoredTurn) -> list[GenerationRequest]:
    """What was asked on the way to a reply, in order, as far as it was kept."""
    turns = {other.id: (other, tokens) for other, tokens in tree.turns}
    found: list[GenerationRequest] = []
    at = turn.parent
    while at is not None and at in turns:
        other, tokens = turns.pop(at)
        if other.prompt is not None and tokens[other.continued_at :]:
            found.append(_request(tree, other, tokens, tree.settings.get(other.id, Setting())))
        at = other.parent
    numbered = enumerate(reversed(found), 2)
    return [msgspec.structs.replace(request, stream=number) for number, request in numbered]


def _notes(turn: StoredTurn, setting: Setting, *, seeded: bool) -> list[str]:
    from playground.services.model_identity import llama_cpp_version

    notes = []
    version = llama_cpp_version()
    if setting.llama_cpp_version and setting.llama_cpp_version != version:
        notes.append(f"It was computed by llama.cpp {setting.llama_cpp_version}; this is {version}.")
    if seeded and (turn.started is None or turn.started.seed is None):
        notes.append("Its seed is not known.")
    if any("took over" in note for note in turn.notes):
        notes.append("Another model took over in that run.")
    return notes


def _ended(turn: StoredTurn) -> str:
    if turn.problem is not None:
        return "it broke"
    return turn.finished.reason.sentence if turn.finished is not None else "the program ended"


def _request(tree: StoredTree, turn: StoredTurn, tokens: Sequence[Token], setting: Setting) -> GenerationRequest:
    """The last run on a reply, as long as it was: what came after a person stopped it is not asked for."""
    start = turn.continued_at
    given = tokens[:start]
    ids = tuple(token.id for token in given if token.id is not None)
    started = turn.started
    params = started.params if started is not None else turn.params or SamplingParams()
    chunks = any(token.chunk for token in tokens[start:])  # of which nobody knows how many tokens they are
    fixed = {} if chunks else {"max_tokens": len(tokens) - start}
    if started is not None and started.seed is not None:
        fixed["seed"] = started.seed
    # Those of an earlier run, or of the reply that this one was forked from, are in force already.
    taken_over = _marks_of_source(tree, turn)
    changes = [
        (mark.at, msgspec.structs.replace(mark.params, **fixed))
        for mark in turn.marks
        if mark.params is not None and mark.at >= start and not (mark.at == start and mark in taken_over)
    ]
    assert turn.prompt is not None
    return GenerationRequest(
        stream=1,
        prompt=turn.prompt,
        params=msgspec.structs.replace(params, **fixed),
        options=setting.options,
        reply_ids=ids if len(ids) == len(given) else (),
        reply_text=join_text([token.piece for token in given]),
        watch=tuple(word.word for word in started.watching) if started is not None else (),
        changes=tuple(changes),
        submitted_at=time.monotonic(),
    )


def _marks_of_source(tree: StoredTree, turn: StoredTurn) -> list[object]:
    source = next((other for other, _ in tree.turns if other.id == turn.forked_from), None)
    return list(source.marks) if source is not None else []
