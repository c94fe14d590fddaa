"""What is kept of a conversation: its turns as they stood, and a line about every reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

import msgspec

from playground.domain.errors import Problem
from playground.domain.events import Finished, Started
from playground.domain.messages import CallOptions, Prompt, Role
from playground.domain.models import LoadOptions
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Token
from playground.domain.transcript import Begun, Mark, Turn

APP: Final = "app"
ORIGINS: Final = (APP, "run", "compare", "sweep")
"""Where a reply can have been asked for: in the app, or by one of the commands."""
BEGINNING: Final = 300
"""Characters of prompt and reply that the list of entries shows."""


class StoredTurn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A turn without its tokens. Fields as in `Turn`."""

    id: int
    parent: int | None
    role: Role
    text: str = ""
    marks: list[Mark] = []
    forked_at: int | None = None
    forked_from: int | None = None
    begun: Begun | None = None
    params: SamplingParams | None = None
    started: Started | None = None
    finished: Finished | None = None
    problem: Problem | None = None
    trimmed_bytes: int = 0
    thinking: str = ""
    thinking_ms: tuple[float, float] | None = None
    notes: list[str] = []
    prompt: Prompt | None = None
    continued_at: int = 0
    model: str = ""
    raw: bool = False
    title: str = ""
    by_hand: set[int] = set()

    @classmethod
    def of(cls, turn: Turn) -> StoredTurn:
        """A copy of what there is of a turn now."""
        return cls(**{name: _copied(getattr(turn, name)) for name in cls.__struct_fields__})

    def turn(self, tokens: Sequence[Token]) -> Turn:
        """The turn again, with its tokens."""
        kept = {name: _copied(getattr(self, name)) for name in self.__struct_fields__}
        return Turn(**kept, tokens=list(tokens))


def _copied(value: Any) -> Any:
    return type(value)(value) if type(value) in (list, set) else value


_NOT_KEPT: Final = {"tokens", "writing"}
assert {one.name for one in fields(Turn)} - _NOT_KEPT == set(StoredTurn.__struct_fields__), (
    "a field of Turn is not kept"
)


class Setting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Under what a reply was written, beside what its turn says."""

    model_ref: str = ""
    """What one writes to choose the model: a path, or "ENDPOINT/MODEL"."""
    model_hash: str = ""
    """SHA-256 of a local model's file, in hex; empty for others, or while it is not known yet."""
    model_facts: dict[str, str] = {}
    """What the model's file says about itself: architecture, quantisation, size."""
    preset: str = ""
    options: CallOptions = CallOptions()
    prompt_ids: tuple[int, ...] = ()
    """Ids of the prompt's tokens, where they are known."""
    load: LoadOptions | None = None
    """How a local model was loaded; None for others, or when nobody told."""
    app_version: str = ""
    llama_cpp_version: str = ""
    origin: str = APP
    """Where it was asked for: one of ORIGINS, or one that a newer version knows."""
    batch: str = ""
    """Name of the sweep that it belongs to; empty for a reply by itself."""


class TreeInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A conversation without its turns."""

    head: int | None = None
    """Last turn of the branch that was on screen."""
    mode: str = "chat"
    """"chat" or "raw"."""
    system: str = ""
    params: SamplingParams = SamplingParams()
    setting: Setting = Setting()


class TokensChange(msgspec.Struct, frozen=True):
    """Tokens from `first` on stand in place of whatever was kept there."""

    turn: int
    first: int
    tokens: list[Token]


class ReplyText(msgspec.Struct, frozen=True):
    """What the list and the search need of a reply."""

    tokens: int
    text: str
    """The whole of it once it has ended; before that its beginning will do."""
    began_at: float | None = None
    """Seconds since 1970, UTC; None for the moment in which it is first kept."""


class TreeChange(msgspec.Struct, frozen=True, kw_only=True):
    """What became new in a conversation since it was last kept; put into effect as a whole or not at all."""

    uid: str
    info: TreeInfo
    turns: list[StoredTurn] = []
    tokens: list[TokensChange] = []
    deleted: frozenset[int] = frozenset()
    """Ids of all turns that are deleted and can be put back."""
    replies: dict[int, ReplyText] = {}
    """By turn: one for each reply among `turns`."""
    settings: dict[int, Setting] = {}
    """By turn: under what a reply is being written; told with its first change, and when more is known."""
    ended: bool = False
    """True when nothing is being written any more, so that the conversation needs no rescue."""
    writer: str = ""
    """Who follows the conversation: one that was opened twice has two, whose new turns must not meet."""
    begins_at: int = 0
    """Turns from this id on are this writer's own; those before were there when the conversation was opened."""
    title: str = ""
    """The name that a new conversation begins with; one that is there already keeps its own."""
    labels: dict[int, str] = {}
    """By turn: what tells new replies from the others of their sweep."""


class StoredTree(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as it was kept."""

    uid: str
    info: TreeInfo
    title: str
    turns: list[tuple[StoredTurn, list[Token]]]
    deleted: frozenset[int]
    settings: dict[int, Setting]
    created_at: float = 0.0
    """Seconds since 1970, UTC."""
    updated_at: float = 0.0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One reply in the history, in a line. What nobody knows is None."""

    id: int
    """What one writes to name it."""
    tree: str
    turn: int
    began_at: float
    """Seconds since 1970, UTC."""
    model: str
    preset: str
    prompt: str
    """What was asked, shortened."""
    reply: str
    """How the reply begins."""
    tokens: int
    cost: float | None
    """US dollars."""
    stop: str
    """Why it ended; empty while it is written, "failed" when it broke."""
    ttft_ms: float | None
    tokens_per_second: float | None
    title: str
    """The name a person gave to the conversation; empty for none."""
    starred: bool
    deleted: bool
    origin: str = APP
    """Where it was asked for; see ORIGINS."""
    batch: str = ""
    """Name of the sweep that it belongs to; empty for a reply by itself."""
    label: str = ""
    """What tells it from the other replies of its sweep, such as "temperature 1.2 · sample 3"."""
    more: int = 0
    """How many other replies of its sweep the line stands for; tokens and cost are those of all of them then."""
    cut_short: int = 0
    """How many of these were stopped or broke, so that they are no part of the sweep's result."""

    @property
    def whole(self) -> int:
        """How many replies of a sweep the line stands for that came to an end."""
        return self.more + 1 - self.cut_short


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are wanted; every condition that is given must hold."""

    text: str = ""
    """Words that stand in prompt, reply or title; several must all be there."""
    model: str = ""
    """A part of the model's name."""
    preset: str = ""
    since: float | None = None
    """Seconds since 1970."""
    until: float | None = None
    least_cost: float | None = None
    """US dollars."""
    origins: tuple[str, ...] = ()
    """Where they were asked for; empty for anywhere."""
    grouped: bool = False
    """The replies of a sweep in one line, that of the newest one."""
    starred: bool = False
    deleted: bool = False
    """Those that were deleted in place of those that were not."""
    limit: int = 200
    offset: int = 0
