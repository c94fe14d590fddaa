"""The beginning of a reply, for a model that is to go on from it: as its own tokens, or as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import structs

from playground.backends.base import Backend
from playground.domain.errors import BadInput, RunFailed, Superseded, Unsupported
from playground.domain.forking import forced, plain, text_of, typed
from playground.domain.messages import Prompt, PromptView, RawPrompt
from playground.domain.recorded import as_recorded
from playground.domain.sampling import SamplingParams
from playground.domain.scoring import ScoreRequest
from playground.domain.tokens import Token
from playground.domain.what_if import WhatIfRequest
from playground.domain.what_if_words import ids_of

_MOST_WEIGHED = 64
"""Tokens of a typed text whose probabilities are asked for while it is typed."""
_MOST_NAMES = 3
"""Names of control tokens in a typed text that are said."""


def check_goes_on(backend: Backend, prompt: Prompt) -> None:
    """Raises Unsupported, with the reason, when the model cannot go on from the beginning of a reply."""
    can = backend.capabilities
    if can.fork or can.continue_reply or (can.raw and isinstance(prompt, RawPrompt)):
        return  # raw text with the reply behind it is raw text again
    reason = can.why_not("continue_reply") or can.why_not("fork")
    raise Unsupported(f"{backend.card.short_name} cannot go on from the beginning of a reply.", reason)


def knows(backend: Backend, tokens: Sequence[Token]) -> bool:
    """True when a model that takes tokens can take these as they are, being its own."""
    return not backend.capabilities.fork or ids_of(tokens) is not None


async def split(backend: Backend, prompt: Prompt, before: Sequence[Token], text: str) -> list[Token]:
    """A text behind the beginning of a reply, as the model has it; one token stands for all of it at a server.

    Raises BadInput for an empty text, and what `Backend.tokenize_continuation` raises.
    """
    if not text:
        raise BadInput("The text to go on with is empty.", "Type at least one character.")
    if not backend.capabilities.fork:
        return [typed(text, len(before))]
    found = await backend.tokenize_continuation(prompt, ids_of(before) or (), text)
    return forced(found.ids, found.pieces, len(before))


async def as_own(backend: Backend, prompt: Prompt, tokens: Sequence[Token]) -> list[Token]:
    """Tokens of another model, by way of their text. Raises BadInput inside a character, and as `split` does."""
    text = text_of(tokens)
    if not text:
        return []
    return await split(backend, prompt, (), text) if backend.capabilities.fork else plain(tokens)


async def figures_of(
    backend: Backend, prompt: Prompt, tokens: Sequence[Token], first: int, top: int, recorded: Token | None = None
) -> tuple[Token, ...]:
    """What the model thinks of the tokens of a reply from `first` on. Raises as `Backend.score` does.

    `recorded` is the token that was drawn at `first` behind the same text, if there is one.
    """
    view = await backend.view_prompt(prompt, ids_of(tokens) or ())
    context = len(view.ids) - (len(tokens) - first)
    score = await backend.score(ScoreRequest(prompt=prompt, ids=view.ids, context=context, top=top))
    if recorded is None or not recorded.top or not score.tokens:
        return score.tokens
    return as_recorded(score.tokens[0], recorded), *score.tokens[1:]


async def check_fits(
    backend: Backend, prompt: Prompt, tokens: Sequence[Token], params: SamplingParams, asker: int
) -> None:
    """Raises BadInput when the grammar in force does not let a reply begin with these tokens.

    Where that cannot be known beforehand, the run will tell.
    """
    ids = ids_of(tokens)
    if not (params.grammar or params.json_schema) or not backend.capabilities.what_if or ids is None:
        return
    try:
        await backend.what_if(WhatIfRequest(prompt=prompt, reply_ids=ids, params=params, asker=asker))
    except BadInput as error:
        what = "grammar" if params.grammar else "JSON schema"
        raise BadInput(
            f"The {what} in force does not let this stand here.",
            f"{error.message} Take something else, or change the {what} with Alt+Y.",
        ) from error
    except (RunFailed, Superseded):
        return


class Seen(NamedTuple):
    """A text that somebody is typing, as the model would get it."""

    tokens: Sequence[Token]
    remarks: Sequence[str] = ()
    """What is to be known about it, a sentence each."""
    given: Sequence[bytes] = ()
    """The tokens around the seam as they would be given, where the whole text would be split otherwise."""
    whole: Sequence[bytes] = ()
    """The same stretch as the tokenizer would split it."""


class Typing:
    """Looks at texts that are to stand behind the beginning of a reply."""

    def __init__(self, backend: Backend, prompt: Prompt, before: Sequence[Token], params: SamplingParams) -> None:
        self._backend = backend
        self._prompt = prompt
        self._before = before
        self._params = params
        self._view: PromptView | None = None

    async def look(self, text: str) -> Seen:
        """The text as the model would get it.

        Raises BadInput for an empty text and one that the context window cannot hold, and as `split` does.
        """
        if not self._backend.capabilities.fork:
            tokens = await split(self._backend, self._prompt, self._before, text)
            as_text = f"It goes as text: {self._backend.card.short_name} does not tell its tokens."
            return Seen(tokens, (*_lone_space(text), as_text))
        if not text:
            raise BadInput("The text to go on with is empty.", "Type at least one character.")
        ids = ids_of(self._before) or ()
        self._view = self._view or await self._backend.view_prompt(self._prompt, ids)
        found = await self._backend.tokenize_continuation(self._prompt, ids, text)
        self._check_room(len(self._view.ids), len(found.ids))
        remarks = (*_lone_space(text), *await self._control_names(text))
        tokens = forced(found.ids, found.pieces, len(self._before))
        if not found.seam:
            return Seen(tokens, remarks)
        if not found.whole:
            return Seen(tokens, (*remarks, "It stands inside a character that is several tokens, and breaks it off."))
        given = (*self._view.pieces[len(self._view.pieces) - found.split_before :], *found.pieces)
        same = _common(given, found.whole)
        remarks = (
            *remarks,
            "In one go, this place would be split otherwise. The model rarely sees the tokens as they are given: that "
            "may show in how it goes on.",
        )
        return Seen(tokens, remarks, given[same:], found.whole[same:])

    async def weigh(self, tokens: Sequence[Token]) -> Sequence[Token] | None:
        """The tokens of a text with what the model thinks of them; None where that cannot be known or costs much.

        Raises as `Backend.score` does.
        """
        if not self._backend.capabilities.score or len(tokens) > _MOST_WEIGHED or ids_of(tokens) is None:
            return None
        first, top = len(self._before), self._params.top
        found = await figures_of(self._backend, self._prompt, [*self._before, *tokens], first, top)
        return [structs.replace(new, index=old.index) for old, new in zip(tokens, found, strict=True)]

    async def check(self, tokens: Sequence[Token]) -> None:
        """Raises BadInput when the grammar that is in force does not let these tokens follow."""
        await check_fits(self._backend, self._prompt, [*self._before, *tokens], self._params, id(self))

    def _check_room(self, before: int, count: int) -> None:
        n_ctx = self._backend.card.n_ctx
        if n_ctx is not None and before + count >= n_ctx:
            raise BadInput(
                f"The text has {count:,} tokens; behind what stands before it, the context window of {n_ctx:,} has "
                f"room for {max(0, n_ctx - before - 1):,}.",
                "Shorten it, or load the model with a larger context.",
            )

    async def _control_names(self, text: str) -> tuple[str, ...]:
        if "<" not in text and "[" not in text:
            return ()
        view = await self._backend.view_prompt(RawPrompt(text))
        names = [piece.decode("utf-8", "replace") for piece, own in zip(view.pieces, view.special, strict=True) if own]
        typed_names = list(dict.fromkeys(name for name in names if name in text))
        if not typed_names:
            return ()
        shown = " ".join(typed_names[:_MOST_NAMES])
        return (f"{shown} goes as the letters that you typed, not as the control token of that name.",)


def _lone_space(text: str) -> tuple[str, ...]:
    if not text.strip() or not text.endswith(" "):
        return ()
    return ("It ends in a space. Words begin with theirs, so the model rarely goes on well behind one: leave it out.",)


def _common(a: Sequence[bytes], b: Sequence[bytes]) -> int:
    """How many tokens at the start are the same in both."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(a), len(b)))
