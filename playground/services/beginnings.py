"""The beginning of a reply, for a model that is to go on from it: as its own tokens, or as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from playground.backends.base import Backend
from playground.domain.errors import BadInput, Unsupported
from playground.domain.forking import forced, plain, text_of, typed
from playground.domain.messages import Prompt, PromptView, RawPrompt
from playground.domain.scoring import ScoreRequest
from playground.domain.tokens import Token
from playground.domain.what_if_words import ids_of

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
    backend: Backend, prompt: Prompt, tokens: Sequence[Token], first: int, top: int
) -> tuple[Token, ...]:
    """What the model thinks of the tokens of a reply from `first` on. Raises as `Backend.score` does."""
    view = await backend.view_prompt(prompt, ids_of(tokens) or ())
    context = len(view.ids) - (len(tokens) - first)
    score = await backend.score(ScoreRequest(prompt=prompt, ids=view.ids, context=context, top=top))
    return score.tokens


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

    def __init__(self, backend: Backend, prompt: Prompt, before: Sequence[Token]) -> None:
        self._backend = backend
        self._prompt = prompt
        self._before = before
        self._view: PromptView | None = None

    async def look(self, text: str) -> Seen:
        """The text as the model would get it.

        Raises BadInput for an empty text and one that the context window cannot hold, and as `split` does.
        """
        if not self._backend.capabilities.fork:
            tokens = await split(self._backend, self._prompt, self._before, text)
            return Seen(tokens, (f"It goes as text: {self._backend.card.short_name} does not tell its tokens.",))
        if not text:
            raise BadInput("The text to go on with is empty.", "Type at least one character.")
        ids = ids_of(self._before) or ()
        self._view = self._view or await self._backend.view_prompt(self._prompt, ids)
        found = await self._backend.tokenize_continuation(self._prompt, ids, text)
        self._check_room(len(self._view.ids), len(found.ids))
        remarks = await self._control_names(text)
        tokens = forced(found.ids, found.pieces, len(self._before))
        if not found.seam:
            return Seen(tokens, remarks)
        if not found.whole:
            return Seen(tokens, (*remarks, "It stands inside a character that is several tokens, and breaks it off."))
        given = (*self._view.pieces[len(self._view.pieces) - found.split_before :], *found.pieces)
        same = _common(given, found.whole)
        remarks = (
            *remarks,
            "Written in one go, this place would be split otherwise. The model gets the tokens as they are given, "
            "which it rarely sees in a row: that may show in how it goes on.",
        )
        return Seen(tokens, remarks, given[same:], found.whole[same:])

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


def _common(a: Sequence[bytes], b: Sequence[bytes]) -> int:
    """How many tokens at the start are the same in both."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(a), len(b)))
