"""What has to be said about a token under other parameters, and which parameters it was really drawn under."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final

from msgspec import structs

from playground.domain.sampling import SamplingParams, changed_fields
from playground.domain.tokens import Candidate, Token
from playground.domain.transcript import Transcript, Turn
from playground.domain.what_if import Outcome, Replay, Replayed, Verdict, WhatIf

_TAKES_THE_BEST: Final = ("greedy", "temperature")
"""Stages that leave nothing but the likeliest: at temperature 0, its own stage does so before greedy has to."""
_SAME_DRAW: Final = SamplingParams()


def shaping(params: SamplingParams) -> SamplingParams:
    """The parameters with all that has no part in a token's chances set to one value."""
    return structs.replace(
        params,
        seed=_SAME_DRAW.seed,
        max_tokens=_SAME_DRAW.max_tokens,
        stop=_SAME_DRAW.stop,
        speculate=_SAME_DRAW.speculate,
        top=_SAME_DRAW.top,
    )


def params_at(tree: Transcript, turn: Turn, index: int) -> SamplingParams | None:
    """The parameters that a token was drawn under; None when that is not known."""
    if index in turn.by_hand:
        return None
    if turn.forked_at is not None and index < turn.forked_at:
        source = tree.turns.get(turn.forked_from) if turn.forked_from is not None else None
        return params_at(tree, source, index) if source is not None else None
    if index < turn.continued_at:
        return None
    passed = [mark for mark in turn.marks if turn.continued_at <= mark.at <= index]
    return passed[-1].params if passed else turn.params


def ids_of(tokens: Sequence[Token]) -> tuple[int, ...] | None:
    """The ids of some tokens; None when one of them has none."""
    ids = tuple(token.id for token in tokens if token.id is not None)
    return ids if len(ids) == len(tokens) else None


def remarks(answer: WhatIf, computed: int) -> tuple[str, ...]:
    """What a reader of the figures must know, a sentence each.

    Args:
        answer: The position under other parameters.
        computed: Tokens that had to be computed before its figures were there.
    """
    said = []
    if answer.unsure:
        names = " and ".join(_label(name) for name in answer.unsure)
        said.append(f"{names} remembers earlier draws. They are not known here: figures of a reply's first token.")
    if answer.outcomes:
        said.append(_coin(answer.outcomes))
    if answer.recomputed and computed:
        said.append(f"This model's memory cannot be cut: {computed:,} tokens computed again.")
    return tuple(said)


def _coin(outcomes: Sequence[Outcome]) -> str:
    """Both throws of XTC's coin."""
    acts, rests = outcomes[0], outcomes[-1]
    text = f"XTC acts in {_share(acts.chance)} of draws; the figures are the mean."
    if rests.token.id is None:
        return text
    return f"{text} This token: {_share(acts.token.prob)} if it acts, {_share(rests.token.prob)} if it rests."


def verdict_words(told: Replayed, now: float | None = None) -> str:
    """A token of a replayed reply in a line, with its chance then and now.

    Args:
        told: The token.
        now: Its chance as a what-if of this token alone has it, where there is one; it goes before the replay's.
    """
    if now is not None and told.now is not None:
        other = (now > 0.0) != (told.now > 0.0)
        verdict = Verdict.POSSIBLE if other else told.verdict
        told = structs.replace(told, now=now, near=told.near or other, verdict=verdict)
    change = f"{_share(told.then)} → {_share(told.now)}"
    if told.verdict is Verdict.POSSIBLE and told.then == told.now:
        return f"could change: {_share(told.then)} as it was"
    match told.verdict:
        case Verdict.CERTAIN:
            return f"would stay: {change}"
        case Verdict.POSSIBLE if told.near:
            stage = f" of {_label(told.stage)}" if told.stage else ""
            return f"within rounding{stage}: {_share(told.then)} → ≈{_share(told.now)}"
        case Verdict.POSSIBLE:
            return f"could change: {change}"
        case Verdict.IMPOSSIBLE if told.stage in _TAKES_THE_BEST:
            return f"not the likeliest: {change}"
        case Verdict.IMPOSSIBLE:
            return f"cut by {_label(told.stage)}: {change}"
        case Verdict.UNSURE:
            return f"not known: {_label(told.stage)} decides"


def counts(replay: Replay) -> dict[Verdict, int]:
    """How many tokens there are of each verdict; none of those that there are none of."""
    found = dict.fromkeys(Verdict, 0)
    for told in replay.tokens:
        found[told.verdict] += 1
    return {verdict: count for verdict, count in found.items() if count}


BRIEFLY: Final = {
    Verdict.CERTAIN: "stay",
    Verdict.POSSIBLE: "may change",
    Verdict.IMPOSSIBLE: "impossible",
    Verdict.UNSURE: "unsure",
}
"""What stands behind the number of tokens of each verdict."""


def short_summary(replay: Replay) -> str:
    """Where it could first differ, for a line with little room."""
    return "the same" if replay.first_open is None else f"first at token {replay.first_open + 1:,}"


def ratio_words(log_ratio: float | None) -> str:
    """How much likelier a whole reply is than it was: ×0.03, ×10⁻⁵⁷; empty when it is not known."""
    if log_ratio is None:
        return ""
    if log_ratio == -math.inf:
        return "could not come"
    power = log_ratio / math.log(10)
    if abs(power) >= 3.0:
        return f"×10{str(round(power)).translate(_RAISED)}"
    ratio = 10**power
    return f"×{ratio:.2g}" if ratio < 10 else f"×{ratio:.0f}"


_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def as_a_whole(log_ratio: float | None) -> str:
    """The same in a sentence; empty when it is not known."""
    words = ratio_words(log_ratio)
    if not words or log_ratio == -math.inf:
        return "This reply could not come." if words else ""
    return f"This reply is {words} as likely as it was." if log_ratio else "This reply is as likely as it was."


def setting_words(old: SamplingParams | None, new: SamplingParams) -> str:
    """What another slider stands at, such as "temperature 1.2"; empty when none does."""
    changes = changed_fields(shaping(old), shaping(new)) if old is not None else {}
    for name, (_, value) in changes.items():
        more = ", …" if len(changes) > 1 else ""
        return f"{_label(name)} {value:g}{more}" if isinstance(value, int | float) else f"another {_label(name)}{more}"
    return ""


def next_place(replay: Replay, wanted: Collection[Verdict], after: int) -> int | None:
    """Index of the next token with one of these verdicts, from the start again behind the last one; None: no such."""
    places = [told.index for told in replay.tokens if told.verdict in wanted]
    return next((place for place in places if place > after), places[0] if places else None)


def side_by_side(token: Token, rows: int) -> list[int]:
    """Which candidates go into a table of so many rows: the first ones, and the one that was chosen.

    Returns:
        Indexes into `token.top`, in its order.
    """
    best = list(range(min(rows, len(token.top))))
    chosen = next((place for place, one in enumerate(token.top) if _is(one, token)), None)
    if chosen is not None and best and chosen not in best:
        best[-1] = chosen
    return best


def _is(candidate: Candidate, token: Token) -> bool:
    return candidate.id == token.id if token.id is not None else False


def _label(stage: str) -> str:
    return stage.replace("_", "-")


def _share(value: float | None) -> str:
    if value is None:
        return "–"
    if value <= 0.0:
        return "0%"
    return "<0.1%" if value < 0.0005 else f"{value:.1%}" if value < 0.9995 else "100%"
