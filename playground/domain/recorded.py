"""What a record says about a reply under other parameters, so far as nothing has to be computed for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import structs

from playground.domain.sampling import SamplingParams, active_stages
from playground.domain.tokens import Token
from playground.domain.transcript import Transcript, Turn
from playground.domain.what_if import Replay, Replayed, Verdict
from playground.domain.what_if_words import params_at, shaping

Drawn = Sequence[SamplingParams | None]
"""The parameters that each token of a reply was drawn under; None where that is not known."""


def drawn_under(tree: Transcript, turn: Turn) -> list[SamplingParams | None]:
    """The parameters of every token of a reply; None where they are not known or a person put the token."""
    return [params_at(tree, turn, index) for index in range(len(turn.tokens))]


def in_force(tree: Transcript, turn: Turn) -> tuple[tuple[int, SamplingParams | None], ...]:
    """The parameters that the samplers of a reply ran under: (index of the first token, what they were).

    Where a person put a token, they are those that were in force when the reply went on.
    """
    found: list[tuple[int, SamplingParams | None]] = []
    for index, params in enumerate(drawn_under(tree, turn)):
        if params is None and index in turn.by_hand:
            params = turn.params  # noqa: PLW2901 - nobody drew it, but the samplers stood somewhere
        if not found or found[-1][1] != params:
            found.append((index, params))
    return tuple(found)


def known_verdicts(tokens: Sequence[Token], drawn: Drawn, params: SamplingParams) -> dict[int, Replayed]:
    """Verdicts by index of the tokens that were drawn under these very parameters: as recorded, to the digit.

    Such a token came, so it can come again, whatever another way of computing it would say.
    """
    wanted = shaping(params)
    coin = 0.0 < params.xtc_probability < 1.0 and "xtc" in active_stages(params)
    same: dict[int, bool] = {}
    found = {}
    for token, under in zip(tokens, drawn, strict=True):
        if under is None or token.id is None or not token.prob:
            continue
        if id(under) not in same:
            same[id(under)] = shaping(under) == wanted
        if same[id(under)]:
            verdict = Verdict.CERTAIN if _alone(token, coin) else Verdict.POSSIBLE
            found[token.index] = Replayed(token.index, token.id, verdict, token.prob, token.prob)
    return found


def _alone(token: Token, coin: bool) -> bool:
    """True when nothing else could have come, for XTC's coin however it falls."""
    stages = token.stages
    if not stages:
        return False
    if not coin:
        return stages[-1].name == "greedy" or stages[-1].candidates == 1
    at = next((place for place, stage in enumerate(stages) if stage.name == "xtc"), 0)
    return at > 0 and stages[at - 1].candidates == 1


def with_record(replay: Replay, known: dict[int, Replayed]) -> Replay:
    """A replay in which the record has the last word on the tokens that it knows."""
    return of_verdicts([known.get(one.index, one) for one in replay.tokens], replay)


def of_verdicts(tokens: Sequence[Replayed], like: Replay) -> Replay:
    """A replay of these tokens, all else as in another one."""
    return structs.replace(
        like,
        tokens=tuple(tokens),
        first_open=next((one.index for one in tokens if one.verdict is not Verdict.CERTAIN), None),
        first_impossible=next((one.index for one in tokens if one.verdict is Verdict.IMPOSSIBLE), None),
    )


def log_ratio(replay: Replay, by_hand: set[int]) -> float | None:
    """How much likelier the whole reply is than it was, as a natural logarithm of now to then.

    Tokens that a person put there were not drawn and do not count. Minus infinity where a token could not come; None
    where the chance of one is not known.
    """
    total = 0.0
    for one in replay.tokens:
        if one.index in by_hand:
            continue
        if one.verdict is Verdict.IMPOSSIBLE:
            return -math.inf
        if not one.then or one.now is None:
            return None
        total += math.log(one.now / one.then) if one.now > 0.0 else -math.inf
    return total


def as_recorded(found: Token, recorded: Token) -> Token:
    """A token as scored afterwards, with what was recorded at its place when another one was drawn there.

    What was recorded is exact; a score is computed in larger pieces and rounds otherwise.
    """
    top = tuple(recorded.top)
    place = next((at for at, one in enumerate(top) if one.id == found.id), None)
    there = structs.replace(found, top=top, entropy=recorded.entropy, stages=recorded.stages)
    if place is None:
        return structs.replace(there, top=(*top, *(one for one in found.top if one.id == found.id)))
    rank = recorded.rank if recorded.id == found.id else place + 1
    return structs.replace(there, logprob=top[place].logprob, prob=top[place].prob, rank=rank)


def drawn_instead(tree: Transcript, turn: Turn, at: int) -> Token | None:
    """The token that was drawn at a place of the version that a reply was forked from; None where it is not the same.

    The same place is one behind the same tokens, of the same model.
    """
    source = tree.find(turn.forked_from)
    if source is None or turn.forked_at != at or at >= len(source.tokens) or source.prompt != turn.prompt:
        return None
    same = all(one.id == other.id for one, other in zip(turn.tokens[:at], source.tokens[:at], strict=True))
    return source.tokens[at] if same and source.model == turn.model else None
