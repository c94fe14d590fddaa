"""Which local model is to look at a text, and which other one, so that two views of it can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple, get_args, get_type_hints

from msgspec import structs

from playground.backends.base import Backend, Progress, silent
from playground.domain.endpoints import ModelRef
from playground.domain.errors import BadInput
from playground.domain.messages import RawPrompt
from playground.domain.models import LoadOptions, ModelInfo
from playground.domain.scoring import Score, ScoreRequest
from playground.services import models
from playground.services.recent_models import recent_models

_KV_TYPES: Final[tuple[str, ...]] = get_args(get_type_hints(LoadOptions)["kv_type"])
_MOST_FILES: Final = 5
_ROOM: Final = 16
"""Tokens of context beside those of the text."""
_ROOM_FOR_TEMPLATE: Final = 256


class View(NamedTuple):
    """A model, and how it is loaded."""

    name: str
    """As a person knows it: the file's name, or what is special about how it is loaded."""
    ref: ModelRef
    options: LoadOptions | None = None
    """None: as settings say."""
    place: str = ""
    """Where it comes from, e.g. "pane 2"."""


def view_of_file(path: str, place: str = "", options: LoadOptions | None = None) -> View:
    """A view by a model file."""
    return View(Path(path).name.removesuffix(".gguf"), ModelRef("", path), options, place)


def last_used() -> View | None:
    """The model used last, or else the starter; None when there is neither."""
    path, starter = next(iter(recent_models()), None), models.starter_model()
    if path is not None:
        return view_of_file(str(path), "used last; it is loaded for this")
    return view_of_file(str(starter), "the starter model; it is loaded for this") if starter is not None else None


def other_views(first: ModelInfo, panes: Iterable[View], load: LoadOptions, tokens: int) -> list[View]:
    """What a first view can be compared with.

    Args:
        first: The model that looked first.
        panes: Models of other panes.
        load: How models are loaded according to the settings.
        tokens: Length of the text; a model that is loaded for this gets no more context than it needs.
    """
    kinds = [
        View(f"KV cache {kind}", ModelRef("", first.path), _small(load, tokens, kind), "the same file")
        for kind in _KV_TYPES
        if kind != first.kv_type
    ]
    files = [view_of_file(str(path), "another model", other_options(load, tokens)) for path in recent_models()]
    found: dict[str, View] = {}
    for one in (*panes, *files):
        if one.ref.name != first.path and not one.ref.endpoint:
            found.setdefault(one.ref.name, one)
    return [*kinds, *list(found.values())[:_MOST_FILES]]


def other_options(load: LoadOptions, tokens: int) -> LoadOptions:
    """How another model is loaded for a text of so many tokens, which it may split into more."""
    return _small(load, tokens + tokens // 2 + _ROOM_FOR_TEMPLATE)


def _small(load: LoadOptions, tokens: int, kind: str = "") -> LoadOptions:
    options = structs.replace(load, context=tokens + _ROOM, streams=1)
    return structs.replace(options, kv_type=kind) if kind else options


async def exactly(backend: Backend, request: ScoreRequest, score: Score) -> ScoreRequest:
    """A request for the very tokens that were scored, those read before them included; for any other model."""
    before: tuple[int, ...] = ()
    if request.only_reply:
        before = (await backend.view_prompt(request.prompt)).ids
    ids = (*before, *(token.id for token in score.tokens if token.id is not None))
    return ScoreRequest(prompt=RawPrompt(""), ids=ids, context=len(before), top=request.top)


async def score_alike(
    first: Backend, exact: ScoreRequest, second: Backend, text: ScoreRequest, progress: Progress = silent
) -> tuple[Score, bool]:
    """Score under a second model what a first one has scored, and tell whether these are the same tokens.

    They are when every token means the same to both, whatever template the second model brings. Else the second one
    gets the text, which it splits in its own way, behind a prompt from its own template.

    Args:
        first: The model that looked first.
        exact: The tokens it looked at, from `exactly`.
        second: The other model.
        text: The same for a model with other tokens.
        progress: Takes how many tokens are computed, and of how many.

    Raises what `Backend.score` raises.
    """
    same = await _same_pieces(first, second, exact.ids)
    return await second.score(exact if same else text, progress), same


async def _same_pieces(first: Backend, second: Backend, ids: tuple[int, ...]) -> bool:
    """True when some token ids stand for the same bytes in both models."""
    try:
        one, other = [await backend.view_prompt(RawPrompt(""), ids) for backend in (first, second)]
    except BadInput:  # an id that the second one does not have
        return False
    count = len(ids)
    return one.ids[-count:] == other.ids[-count:] and one.pieces[-count:] == other.pieces[-count:]
