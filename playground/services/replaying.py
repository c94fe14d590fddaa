"""A reply from the history, run again for real: the same model, prompt, seed and parameters, at the same tokens."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from playground.domain.endpoints import ModelRef
from playground.domain.errors import BadInput, ModelFileError, Problem, as_error
from playground.domain.events import Event, Failed, Finished, StopReason, TokenGenerated
from playground.domain.history import Entry, Setting, StoredTree, StoredTurn
from playground.domain.messages import GenerationRequest
from playground.domain.repeating import ReplayReport, compare_runs
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Token, join_text
from playground.services.model_identity import hash_file
from playground.services.toml_files import one_line

if TYPE_CHECKING:
    from playground.backends.base import Backend
    from playground.services.model_pool import ModelPool


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
    earlier: list[GenerationRequest] = []
    """Those replies: run first, they leave the same cache behind."""

    @property
    def hosted(self) -> bool:
        """True when it costs money, perhaps, and need not repeat."""
        return bool(self.model.endpoint) and self.model.endpoint != "replay"


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
    before = tokens[turn.continued_at :]
    if not before:
        raise BadInput("This reply cannot be run again: there is no token to compare.", "Choose another one.")
    setting = tree.settings.get(entry.turn, Setting())
    ref = setting.model_ref
    if not ref:
        raise BadInput("This reply cannot be run again: nobody kept which model wrote it.", "Choose another one.")
    if os.path.isabs(ref) and not os.path.isfile(ref):
        raise ModelFileError(
            f"The model is gone: there is no file {one_line(ref)} any more.",
            "Put it back, or ask again with llm-playground run and another model.",
        )
    model = find(ref)
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
        notes=notes + _notes(turn, setting),
        cached=(turn.started.cached_tokens or 0) if turn.started is not None and not model.endpoint else 0,
        earlier=_earlier(tree, turn),
    )


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


def _notes(turn: StoredTurn, setting: Setting) -> list[str]:
    from playground.services.model_identity import llama_cpp_version

    notes = []
    version = llama_cpp_version()
    if setting.llama_cpp_version and setting.llama_cpp_version != version:
        notes.append(f"It was computed by llama.cpp {setting.llama_cpp_version}; this is {version}.")
    if turn.started is None or turn.started.seed is None:
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


async def check_model(plan: ReplayPlan) -> None:
    """Compare the file's hash with the one that was kept. Raises ModelFileError when another file is there now."""
    wanted = plan.setting.model_hash
    if plan.model.endpoint or not wanted:
        return
    found = await hash_file(Path(plan.model.name))
    if found != wanted:
        raise ModelFileError(
            f"Another model is at {one_line(plan.model.name)} now: its SHA-256 begins with {found[:12]}, and the reply "
            f"was written by one that begins with {wanted[:12]}.",
            "Put the old file back to repeat the reply.",
        )


async def replay(
    plan: ReplayPlan,
    pool: ModelPool,
    loading: Callable[[float], None] = lambda _fraction: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ReplayReport:
    """Open the model, run the request again and compare. Cancelling this ends the run.

    Args:
        plan: From `plan_replay`.
        pool: Where models come from; the model is given back at the end.
        loading: Told how far loading is, 0 to 1.
        progress: Told how many tokens are there, and of how many.

    Raises:
        ModelFileError: another file is there now.
        PlaygroundError: the model cannot be opened, or the run broke before its first token.
    """
    await check_model(plan)
    report = await _open_and_run(plan, [], pool, loading, progress)
    if report.difference is None or not plan.cached or not plan.earlier:
        return report
    # A prompt that is computed at once has other last bits, and more, than one that was written token by token.
    again = await _open_and_run(plan, plan.earlier, pool, loading, progress)
    replies = "the earlier reply" if len(plan.earlier) == 1 else f"the {len(plan.earlier)} earlier replies"
    first = report.difference.index + 1
    if again.difference is not None and again.difference.index + 1 <= first:
        why = (
            f"{plan.cached:,} tokens of its prompt came from the cache then; running {replies} first did not bring the "
            "same figures back."
        )
        return msgspec.structs.replace(report, sentences=[*report.sentences, why])
    why = (
        f"For this {replies} ran first, so that {plan.cached:,} tokens of the prompt came from the cache, as they did "
        f"then. With the whole prompt computed at once, token {first:,} differs: the batch's shape changes figures."
    )
    return msgspec.structs.replace(again, sentences=[*again.sentences, why])


async def _open_and_run(
    plan: ReplayPlan,
    first: list[GenerationRequest],
    pool: ModelPool,
    loading: Callable[[float], None],
    progress: Callable[[int, int], None],
) -> ReplayReport:
    """Open the model, run some requests whose outcome does not matter, and then the one that does."""
    backend = await pool.open(plan.model, loading, options=plan.setting.load)
    try:
        for request in first:
            await backend.generate(request, lambda _event: None)
        return await run_again(plan, backend, progress)
    finally:
        await asyncio.shield(pool.close(backend))


async def run_again(
    plan: ReplayPlan, backend: Backend, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> ReplayReport:
    """The same on a model that is open already. Raises PlaygroundError when the run broke before its first token."""
    tokens: list[Token] = []
    ended: list[str] = []
    problems: list[Problem] = []

    def take(event: Event) -> None:
        if isinstance(event, TokenGenerated):
            tokens.append(event.token)
            progress(len(tokens), len(plan.before))
        elif isinstance(event, Finished):
            ended.append(event.reason.sentence)
        elif isinstance(event, Failed):
            problems.append(event.problem)

    await backend.generate(plan.request, take)
    if problems and not tokens:
        raise as_error(problems[0])
    ends = (plan.ended, *ended, "it broke")[:2]
    report = compare_runs(
        plan.before, tokens, plan.request, ends, cut_short=plan.cut_short, same_model=bool(plan.setting.model_hash)
    )
    extra = [f"The run broke: {problem}" for problem in problems] + plan.notes
    return msgspec.structs.replace(report, sentences=[*report.sentences, *extra])
