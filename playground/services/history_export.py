"""Conversations for elsewhere: Markdown to be read, JSON Lines in which nothing is lost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from playground import __version__
from playground.domain.counts import count_of
from playground.domain.history import Entry, Setting, StoredTree, StoredTurn, TreeInfo
from playground.domain.messages import ChatPrompt, Role
from playground.domain.moments import moment_text
from playground.domain.sampling import NEUTRAL, SamplingParams, active_stages, changed_fields
from playground.domain.tokens import Token
from playground.domain.transcript import INTERRUPTED, Turn
from playground.services.markdown_text import inline_text, message_text

if TYPE_CHECKING:
    from playground.services.history_reader import HistoryReader

Form = Literal["md", "jsonl", "html"]

FORMAT: Final = "llm-playground history"
VERSION: Final = 1
"""Of the JSON Lines."""
_TOKENS_A_LINE: Final = 64


class Branch(NamedTuple):
    """A reply and what led to it."""

    entry: Entry
    tree: StoredTree
    turns: list[Turn]
    """From the first message to the reply."""

    @property
    def reply(self) -> Turn:
        """The last turn."""
        return self.turns[-1]

    @property
    def setting(self) -> Setting:
        """Under what the reply was written."""
        return self.tree.settings.get(self.reply.id, Setting())

    @property
    def system(self) -> str:
        """The system prompt that the reply was written under."""
        prompt = self.reply.prompt
        first = prompt.messages[0] if isinstance(prompt, ChatPrompt) and prompt.messages else None
        return first.content if first is not None and first.role is Role.SYSTEM else ""


def branch_of(tree: StoredTree, entry: Entry) -> Branch:
    """The branch that ends with a reply."""
    turns = {turn.id: (turn, tokens) for turn, tokens in tree.turns}
    path: list[Turn] = []
    at: int | None = entry.turn
    while at is not None and at in turns:
        turn, tokens = turns.pop(at)  # out, so that a ring in a damaged file comes to an end
        path.append(turn.turn(tokens))
        at = turn.parent
    return Branch(entry, tree, path[::-1])


def find_branch(reader: HistoryReader, run: int) -> Branch:
    """The branch that ends with a reply, read without the others of its conversation.

    Raises BadInput for a number that is not in the history, and HistoryUnusable.
    """
    entry = reader.entry(run)
    return branch_of(reader.tree(entry.tree, up_to=entry.turn), entry)


def find_branches(reader: HistoryReader, runs: Sequence[int]) -> list[Branch]:
    """The branches that end with these replies; one that is the beginning of another is left out.

    Raises BadInput for a number that is not in the history, and HistoryUnusable.
    """
    trees: dict[str, StoredTree] = {}
    found = []
    for run in dict.fromkeys(runs):
        entry = reader.entry(run)
        if entry.tree not in trees:
            trees[entry.tree] = reader.tree(entry.tree)
        found.append(branch_of(trees[entry.tree], entry))
    inside = {(one.entry.tree, turn.id) for one in found for turn in one.turns[:-1]}
    return [one for one in found if (one.entry.tree, one.reply.id) not in inside]


# -- Markdown ----------------------------------------------------------------------------------------------------------


def to_markdown(branches: Sequence[Branch]) -> str:
    """Conversations as Markdown, with the parameters of the last reply of each in a table."""
    return "\n\n---\n\n".join("\n\n".join(_blocks(branch)) for branch in branches) + "\n"


def _blocks(branch: Branch) -> Iterator[str]:
    yield f"# {inline_text(branch.entry.title or branch.entry.prompt[:80] or 'A conversation')}"
    rows = [f"| {_cell(name)} | {_cell(value)} |" for name, value in facts(branch)]
    yield "\n".join(["| | |", "| --- | --- |", *rows])
    if branch.system:
        yield "**System**"
        yield message_text(branch.system)
    for turn in branch.turns:
        if turn.role is Role.USER:
            yield "**You**" if not turn.raw else "**Text**"
            yield message_text(turn.content)
            continue
        yield f"**{inline_text(turn.model or 'Model')}**"
        if turn.thinking:
            yield "*It thought:*"
            yield message_text(turn.thinking)
        yield message_text(turn.content)
        for line in remarks(turn):
            yield f"*{inline_text(line)}*"


def facts(branch: Branch) -> Iterator[tuple[str, str]]:
    """What a table says about the last reply: names and values. What nobody knows is "–"."""
    entry, setting, reply = branch.entry, branch.setting, branch.reply
    yield "Model", entry.model or "–"
    yield "Written", moment_text(entry.began_at, "%Y-%m-%d %H:%M %Z")
    yield "From", f"{setting.origin} {setting.batch}".strip() + (f", {entry.label}" if entry.label else "")
    if setting.preset:
        yield "Preset", setting.preset
    params = reply.params or SamplingParams()
    for name, (_, value) in changed_fields(NEUTRAL, params).items():
        if name not in ("order", "seed"):
            yield name, _value(value)
    seed = reply.started.seed if reply.started is not None else params.seed
    yield "seed", str(seed) if seed is not None else "–"
    yield "Stages", " > ".join(active_stages(params))
    yield "Tokens", str(entry.tokens)
    yield "Time to first token", f"{entry.ttft_ms:.0f} ms" if entry.ttft_ms is not None else "–"
    yield "Speed", f"{entry.tokens_per_second:.1f} tokens/s" if entry.tokens_per_second is not None else "–"
    yield "Cost", f"${entry.cost:.6g}" if entry.cost is not None else "–"
    if setting.model_hash:
        yield "SHA-256 of the model", setting.model_hash
    yield "Versions", ", ".join(filter(None, (f"llm-playground {setting.app_version}", setting.llama_cpp_version)))


def remarks(turn: Turn) -> Iterator[str]:
    """What happened to a reply, a line each: changes of parameters, retries, why it ended."""
    for mark in turn.marks:
        yield f"from token {mark.at + 1} on: {mark.text}"
    yield from (note for note in turn.notes if note != INTERRUPTED or turn.finished is None)
    if turn.problem is not None:
        yield f"it broke: {turn.problem.message}"
    elif turn.finished is not None:
        detail = f" ({turn.finished.detail})" if turn.finished.detail else ""
        yield f"{count_of(len(turn.tokens), 'token')}, {turn.finished.reason.sentence}{detail}"
    else:
        yield f"{count_of(len(turn.tokens), 'token')}, then the program ended"


def _value(value: Any) -> str:
    match value:
        case float():
            return f"{value:g}"
        case tuple():
            return " ".join(repr(one) for one in value)
        case dict():
            return ", ".join(f"{key!r}: {one:g}" for key, one in value.items())
    return str(value)


def _cell(text: str) -> str:
    return inline_text(text) or "–"


# -- JSON Lines --------------------------------------------------------------------------------------------------------


class Head(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="head"):
    """The first line."""

    format: str
    version: int
    app: str = ""


class Conversation(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="conversation"):
    """The lines that follow belong to this conversation, up to its `End`."""

    uid: str
    title: str
    created_at: float
    updated_at: float
    deleted: list[int]
    info: TreeInfo


class TurnLine(msgspec.Struct, frozen=True, tag_field="kind", tag="turn"):
    """One turn."""

    turn: StoredTurn


class TokensLine(msgspec.Struct, frozen=True, tag_field="kind", tag="tokens"):
    """Some tokens of a turn, which stand behind those of the line before."""

    turn: int
    tokens: list[Token]


class SettingLine(msgspec.Struct, frozen=True, tag_field="kind", tag="setting"):
    """Under what a reply was written."""

    turn: int
    setting: Setting


class ReplyLine(msgspec.Struct, frozen=True, tag_field="kind", tag="reply"):
    """A reply in the list."""

    entry: Entry


class End(msgspec.Struct, frozen=True, tag_field="kind", tag="end"):
    """The conversation is complete."""

    uid: str


Line = Head | Conversation | TurnLine | TokensLine | SettingLine | ReplyLine | End


def to_json_lines(trees: Sequence[tuple[StoredTree, Sequence[Entry]]]) -> Iterator[str]:
    """Whole conversations, a JSON object a line; `history_import` reads them back as they were."""
    yield _line(Head(format=FORMAT, version=VERSION, app=__version__))
    for tree, entries in trees:
        yield _line(
            Conversation(
                uid=tree.uid,
                title=tree.title,
                created_at=tree.created_at,
                updated_at=tree.updated_at,
                deleted=sorted(tree.deleted),
                info=tree.info,
            )
        )
        for turn, tokens in tree.turns:
            yield _line(TurnLine(turn))
            for first in range(0, len(tokens), _TOKENS_A_LINE):
                yield _line(TokensLine(turn.id, tokens[first : first + _TOKENS_A_LINE]))
        for number, setting in tree.settings.items():
            yield _line(SettingLine(number, setting))
        for entry in entries:
            yield _line(ReplyLine(entry))
        yield _line(End(tree.uid))


def _line(value: Line) -> str:
    return msgspec.json.encode(_marked(msgspec.to_builtins(value, enc_hook=tuple))).decode()


def _marked(value: Any) -> Any:
    """JSON knows no infinity: it becomes {"$float": "inf"}."""
    match value:
        case float() if not math.isfinite(value):
            return {"$float": str(value)}
        case list() | tuple():
            return [_marked(one) for one in value]
        case dict():
            return {key: _marked(one) for key, one in value.items()}
    return value
