"""Questions about a token that was written: what else could it have been, and under which parameters."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from playground.domain.messages import Prompt
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Token
from playground.domain.watching import Watched, WatchedWord

TEMPERATURES: Final = (0.0, 0.5, 1.0, 1.5)
"""At which the same token is shown side by side."""

Known = tuple[tuple[int, float], ...]
"""What was recorded at a position: ids of the most likely tokens with their logprobs, as in `Token.top`.

A position that is computed again rounds otherwise: these figures are held to what they were, and what nobody recorded
has the rest.
"""


def known_of(token: Token) -> Known:
    """What is known of the model's own distribution where a token stands; empty when nobody told."""
    return tuple((one.id, one.logprob) for one in token.top if one.id is not None and one.logprob is not None)


class WhatIfRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One position of a reply, and the parameters to see it under."""

    prompt: Prompt
    reply_ids: tuple[int, ...] = ()
    """Token ids of the reply before that position."""
    chosen: int | None = None
    """Id of the token that stands there; None where none was chosen yet."""
    params: SamplingParams
    asker: int = 0
    """Whose question it is, such as a pane's number. A newer question of the same asker takes the place of one that
    waits; questions of different askers leave one another alone."""
    known: Known = ()
    """What was recorded at this position."""


class Column(msgspec.Struct, frozen=True, array_like=True):
    """The same position at another temperature, everything else unchanged."""

    temperature: float
    probs: tuple[float, ...]
    """Chance after all samplers of each candidate of `WhatIf.token.top`, in that order."""
    candidates: int
    """How many tokens the samplers leave; under XTC, when it rests."""


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What the position looks like if chance falls one way (XTC acts, or it does not)."""

    chance: float
    """How often it falls so, 0 to 1; the outcomes' chances sum to 1."""
    token: Token


class WhatIf(msgspec.Struct, frozen=True, kw_only=True, tag="what_if"):
    """A position under other parameters: exact, over the whole vocabulary, through llama.cpp's own samplers."""

    token: Token
    """The token that stands there, with the figures it would have. `prob` is 0 where a sampler would remove it; with no
    token chosen yet, its own fields are None and `top` tells. Under XTC the chances are those before its coin is
    thrown, the stages those of the throw in which it acts."""
    params: SamplingParams
    columns: tuple[Column, ...]
    """The same at each of TEMPERATURES."""
    outcomes: tuple[Outcome, ...] = ()
    """With XTC between never and always: both throws of its coin. Empty: chance has no part before the draw itself."""
    unsure: tuple[str, ...] = ()
    """Stages that remember the draws before this one (mirostat, adaptive_p), which cannot be known here: the figures
    are those of a reply's first token."""
    computed: int = 0
    """Tokens that went through the model for this answer; 0 when the position was held."""
    recomputed: bool = False
    """True when the text before had to be computed again, because this model's memory cannot be shared."""


class Verdict(StrEnum):
    """What other parameters would have meant for a token, the text before it being the same."""

    CERTAIN = "certain"
    """It is the only one left, or the one that greedy takes."""
    POSSIBLE = "possible"
    """It could come again, and so could another."""
    IMPOSSIBLE = "impossible"
    """It could not come."""
    UNSURE = "unsure"
    """A stage that remembers earlier draws decides, and what it remembers cannot be known."""


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reply, to be seen under other parameters without being generated."""

    prompt: Prompt
    reply_ids: tuple[int, ...]
    params: SamplingParams
    recorded: tuple[float | None, ...] = ()
    """`prob` of each token as it was recorded; comes back beside the new one."""
    known: tuple[Known, ...] = ()
    """What was recorded at each position of the reply, as far as anything was."""


class Replayed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One token of a replayed reply."""

    index: int
    """Position in the reply, from 0."""
    id: int
    verdict: Verdict
    then: float | None
    """Its chance after all samplers as recorded; None when nobody told."""
    now: float | None
    """Its chance under the other parameters; None when a stage's memory decides."""
    stage: str = ""
    """The stage that removes it (`greedy` where another token is likelier), or whose memory decides."""
    near: bool = False
    """True for a token that a stage removes by so little that rounding may have done it: it counts as possible."""


class Replay(msgspec.Struct, frozen=True, kw_only=True, tag="replay"):
    """A reply under other parameters. Each verdict supposes that everything before its token came as it did."""

    tokens: tuple[Replayed, ...]
    params: SamplingParams
    first_open: int | None
    """Index of the first token where the outcome could differ; None: the reply would be the same."""
    first_impossible: int | None
    """Index of the first token that could not come; from there on the reply must differ."""
    unsure: tuple[str, ...] = ()
    """Stages whose memory of earlier draws cannot be known."""
    computed: int = 0
    """Tokens that went through the model."""
    recomputed: bool = False
    """True when the prompt had to be computed again, because this model's memory cannot be shared."""


class WatchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Words to be followed through a reply that was written without watching them."""

    prompt: Prompt
    reply_ids: tuple[int, ...]
    words: tuple[str, ...]
    """As in `GenerationRequest.watch`."""
    drawn: tuple[tuple[int, SamplingParams | None], ...]
    """The parameters that the tokens were drawn under: (index of the first one, what they were), the first index 0.
    None where they are not known: nothing is told of the samplers then."""
    known: tuple[Known, ...] = ()
    """What was recorded at each position of the reply, as far as anything was."""


class WatchedReply(msgspec.Struct, frozen=True, kw_only=True, tag="watched_reply"):
    """Words in the course of a reply, found afterwards."""

    words: tuple[WatchedWord, ...]
    figures: tuple[tuple[Watched, ...], ...]
    """For each token of the reply those of all words, in their order."""


class Continuation(msgspec.Struct, frozen=True, kw_only=True, tag="continuation"):
    """The tokens of a text that is put behind a prompt and the beginning of a reply."""

    ids: tuple[int, ...]
    """Goes behind the reply's ids; the text's own bytes, no more and no less."""
    pieces: tuple[bytes, ...]
    seam: bool = False
    """True when the whole text would be split otherwise: the model is then given tokens it rarely sees in a row."""
    whole: tuple[bytes, ...] = ()
    """How the last tokens before the seam and the text would be split as a whole; empty without `seam`."""
    split_before: int = 0
    """How many of the reply's (or prompt's) last tokens `whole` stands for, beside the text's own."""
