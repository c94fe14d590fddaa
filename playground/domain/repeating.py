"""Two runs of the same request, compared: are they the same, and where not, why.

The same seed and the same logits give the same tokens. Logits are sums of very many products, and the order in which
they are summed depends on the batch, the number of threads and the device: the last bits can be others. Where two
tokens are all but equally likely, that is enough for another one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from playground.domain.counts import count_of
from playground.domain.display import visible_piece
from playground.domain.messages import GenerationRequest
from playground.domain.tokens import Token

NEAR: Final = 0.02
"""Tokens whose log-probabilities differ by less are all but equally likely: 2 %."""
_SAME: Final = 0.05
"""Candidates whose log-probabilities differ by more between two runs do not come from the same computation."""
_DRIFT_OF: Final = 3
"""How many of the best candidates are looked at for what the runs differ by: those far below are noise."""


class Verdict(StrEnum):
    """What became of a run that was done again."""

    EQUAL = "equal"
    NEAR_TIE = "near tie"
    """Two tokens were no further apart than what the runs themselves differ by."""
    EDGE = "edge"
    """The runs had all but the same chances; the random number fell on the edge between two tokens."""
    CHECKED = "checked"
    """Its tokens were chosen by hand, so that none was drawn again: they were looked at where they stand."""
    DIFFERENT = "different"
    """The runs differ by more than that."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The first place where two runs differ."""

    index: int
    """Of the token in the reply, from 0."""
    before: Token | None
    """What stood there; None where that run had ended."""
    now: Token | None


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it."""

    verdict: Verdict
    tokens: int
    """How many came again, before the first one that differs."""
    difference: Difference | None
    gap: float | None
    """At the difference: how much likelier one of the two tokens was than the other, in nats; the smaller figure of the
    two runs. None when nobody knows."""
    drift: float | None
    """Largest difference of a likely candidate's log-probability between the runs, up to and at that place."""
    sentences: list[str]
    now: Sequence[Token] = ()
    """What came this time."""

    @property
    def small(self) -> bool:
        """True for runs that differ by no more than rounding makes of the same computation."""
        return self.drift is not None and self.drift <= _SAME


def compare_runs(
    before: Sequence[Token],
    now: Sequence[Token],
    request: GenerationRequest,
    ended: Sequence[str] = ("", ""),
    *,
    cut_short: bool = False,
    same_model: bool = False,
) -> ReplayReport:
    """Two runs of the same request, token by token.

    Args:
        before: What was kept.
        now: What came this time.
        request: What both were asked.
        ended: Why each of them ended, in words.
        cut_short: The first was stopped by a person or an accident: what comes behind its end is no difference.
        same_model: It is known that both were computed by the same file.
    """
    start = len(request.reply_ids)
    count, there = _common(before, now, cut_short=cut_short)
    old = before[count] if count < len(before) else None
    new = now[there] if there < len(now) else None
    drift = _drift(before[: count + 1], now[: there + 1])
    if old is None and (new is None or cut_short):
        return ReplayReport(
            verdict=Verdict.EQUAL,
            tokens=count,
            difference=None,
            gap=None,
            drift=drift,
            sentences=[_all_equal(count, drift)],
        )
    gap = _gap(old, new)
    verdict = _verdict(gap, _drift([old] if old else [], [new] if new else []), request, count + start, same_model)
    place = start + count
    sentences = [
        f"Token {place + 1:,} differs: it was {_named(old, ended[0])}, and is {_named(new, ended[1])}.",
        _came_again(count, start),
        _explained(verdict, gap, drift, same_model=same_model),
    ]
    return ReplayReport(
        verdict=verdict,
        tokens=count,
        difference=Difference(index=place, before=old, now=new),
        gap=gap,
        drift=drift,
        sentences=sentences,
    )


def check_figures(
    before: Sequence[Token], now: Sequence[Token], by_hand: Collection[int], *, same_model: bool
) -> ReplayReport:
    """What a reply that was chosen by hand says when its tokens are looked at again, each behind those before it.

    Args:
        before: All tokens of the reply as they were kept.
        now: The same tokens, as the model sees them now.
        by_hand: Indices of those that a person chose; the others were drawn one at a time.
        same_model: It is known that both were computed by the same file.
    """
    pairs = list(zip(before, now, strict=False))
    known = [(old, new) for old, new in pairs if old.logprob is not None and new.logprob is not None]
    drift = _drift(before, now)
    hand, drawn = len(by_hand), len(before) - len(by_hand)
    sentences = [f"{hand:,} of its {count_of(len(before), 'token')} {'was' if hand == 1 else 'were'} chosen by hand."]
    sentences.append(
        "They cannot be drawn again, and the others were drawn one by one between them."
        if drawn
        else "They cannot be drawn again."
    )
    verdict = Verdict.CHECKED
    if drift is None:
        sentences.append("Their log-probabilities were not kept, so there is nothing to check.")
    else:
        which = f"all {count_of(len(pairs), 'token')}" if len(known) == len(pairs) else f"{len(known):,} of the tokens"
        sentences.append(f"Looked at where they stand, {which} could be checked: {_checked(drift)}")
        if drift > _SAME and not same_model:
            verdict = Verdict.DIFFERENT
            sentences.append("That is more than rounding makes of the same computation: is it the same model?")
    return ReplayReport(
        verdict=verdict, tokens=len(known), difference=None, gap=None, drift=drift, sentences=sentences, now=now
    )


def _checked(drift: float) -> str:
    if drift == 0.0:
        return "all their figures are the same, to the last bit."
    why = ", as batches of another shape make of a quantised model" if drift > _SAME else ": no more than rounding"
    return f"their log-probabilities differ by {drift:.1e} at most{why}."


def _came_again(count: int, start: int) -> str:
    if count:
        return f"{count_of(count, 'token')} before it came again."
    if not start:
        return "It is the first one."
    given = f"{count_of(start, 'token')} before it {'was' if start == 1 else 'were'} given"
    return f"It is the first one of this run: {given}."


def _common(before: Sequence[Token], now: Sequence[Token], *, cut_short: bool) -> tuple[int, int]:
    """Index of the first token that differs, in each of the runs. A server may cut the same text into other pieces."""
    if all(token.id is not None for token in (*before, *now)):
        pairs = enumerate(zip(before, now, strict=False))
        count = next((count for count, (old, new) in pairs if old.id != new.id), min(len(before), len(now)))
        return count, count
    old, new = (b"".join(token.piece for token in tokens) for tokens in (before, now))
    if old == new or (cut_short and new.startswith(old)):
        return len(before), len(now)
    size = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), None)
    size = min(len(old), len(new)) if size is None else size
    return _at(before, size), _at(now, size)


def _at(tokens: Sequence[Token], size: int) -> int:
    """Index of the token with the byte at `size`."""
    for index, token in enumerate(tokens):
        size -= len(token.piece)
        if size < 0:
            return index
    return len(tokens)


def _figures(token: Token | None) -> dict[int | bytes, float]:
    """Log-probabilities of the best candidates and of the token itself."""
    if token is None:
        return {}
    best = list(token.top)[:_DRIFT_OF]
    found = {_key(one.id, one.piece): one.logprob for one in best}
    found[_key(token.id, token.piece)] = token.logprob
    return {key: logprob for key, logprob in found.items() if logprob is not None}


def _key(number: int | None, piece: bytes) -> int | bytes:
    return piece if number is None else number


def _drift(before: Sequence[Token], now: Sequence[Token]) -> float | None:
    largest: float | None = None
    for old, new in zip(before, now, strict=False):
        left, right = _figures(old), _figures(new)
        for key in left.keys() & right.keys():
            largest = max(largest or 0.0, abs(left[key] - right[key]))
    return largest


def _gap(old: Token | None, new: Token | None) -> float | None:
    """How far the two tokens are apart, in nats, in the run in which they are nearer."""
    if old is None or new is None:
        return None
    keys = _key(old.id, old.piece), _key(new.id, new.piece)
    gaps = []
    for token in (old, new):
        known = _figures(token) | {_key(one.id, one.piece): one.logprob for one in token.top if one.logprob is not None}
        if all(key in known for key in keys):
            gaps.append(abs(known[keys[0]] - known[keys[1]]))
    return min(gaps, default=None)


def _verdict(
    gap: float | None, drift: float | None, request: GenerationRequest, place: int, same_model: bool
) -> Verdict:
    """`drift` is that of the place alone. Of the same file it may be larger: quantised models make much of little."""
    same = drift is not None and drift <= _SAME
    if gap is not None and (same or (same_model and drift is not None)) and gap <= max(NEAR, 2 * (drift or 0.0)):
        return Verdict.NEAR_TIE
    params = next((params for at, params in reversed(request.changes) if at <= place), request.params)
    if same and params.temperature > 0:
        return Verdict.EDGE
    return Verdict.DIFFERENT


def _named(token: Token | None, ended: str) -> str:
    if token is None:
        return f"the end ({ended or 'nobody knows why'})"
    name = token.special or f"“{visible_piece(token.piece)}”"
    return name if token.logprob is None else f"{name} (log-probability {token.logprob:.4f})"


def _all_equal(count: int, drift: float | None) -> str:
    figures = {
        None: "no figures are known of both runs.",
        0.0: "and so are all their figures, to the last bit.",
    }.get(drift, f"their log-probabilities differ by {drift or 0.0:.1e} at most.")
    joint = "; " if drift != 0.0 else ", "
    which = "its one token" if count == 1 else f"all {count:,} tokens"
    return f"The runs are equal: {which} came again{joint}{figures}"


def _explained(verdict: Verdict, gap: float | None, drift: float | None, *, same_model: bool) -> str:
    differ = f"The runs' log-probabilities differ by {drift:.1e} at most up to here" if drift is not None else ""
    match verdict:
        case Verdict.NEAR_TIE:
            return _explained_tie(gap or 0.0, drift or 0.0)
        case Verdict.EDGE:
            return (
                f"Both runs had all but the same chances here. {differ}: so much depends on batch, threads and device, "
                "and the random number of this seed fell on the edge between two tokens."
            )
    if not differ:
        return "What the model thought of it is not known of both runs, so nothing can be said about why."
    why = "it was computed in batches of another shape, or on another device"
    other = "" if same_model else ", or by another model"
    return f"{differ}, which is more than rounding makes of the same computation: {why}{other}."


def _explained_tie(gap: float, drift: float) -> str:
    """A tie is near only in relation to what the runs differ by."""
    apart, differ = f"{gap:.2g} nats", f"{drift:.2g} nats"
    relation = "which is more than" if drift > gap else "and there are no more than"
    if drift <= _SAME and gap <= NEAR:
        return (
            f"It is a near tie: the two tokens' log-probabilities are {apart} apart. Those of the two runs differ by "
            f"up to {differ}: another batch, number of threads or device changes so much, and here it decides."
        )
    return (
        f"The log-probabilities of the two runs differ by up to {differ}, {relation} the {apart} between the two "
        "tokens: a batch of another shape, as when another reply was written at the same time, or a prompt from the "
        "cache changes so much, and here it decides."
    )
