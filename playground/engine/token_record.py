"""From one row of logits and what the samplers made of it to the token that is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from playground.domain.tokens import Candidate, Stage, Token
from playground.engine.capture import Distribution
from playground.engine.model import LoadedModel


def record_token(
    model: LoadedModel,
    distribution: Distribution,
    chosen: int | None,
    top: Sequence[int],
    *,
    index: int,
    prob: Mapping[int, float] | None = None,
    cut_by: Mapping[int, int] | None = None,
    stages: tuple[Stage, ...] = (),
) -> Token:
    """The token `chosen` at a position with everything that is known there; None where nobody has chosen yet.

    Args:
        model: whose tokens they are.
        distribution: has read the logits of the position.
        chosen: the token that stands there; put behind the candidates where it is not among them.
        top: the most likely tokens, best first.
        index: position in the reply, or in the text.
        prob: chance after all samplers of every token that can come; None without samplers.
        cut_by: index of the stage that removed a token, for those that were.
        stages: what the samplers did.
    """
    cut_by = cut_by or {}
    shown = list(top) if chosen is None or chosen in top else [*top, chosen]
    log_sum = distribution.log_sum
    logprobs = [logit - log_sum for logit in distribution.logits.take(shown).tolist()]
    candidates = []
    for token, logprob in zip(shown, logprobs, strict=True):
        name, control = model.pieces[token]
        chance = None if prob is None else prob.get(token, 0.0)
        candidates.append(Candidate(token, name, logprob, chance, control, cut_by.get(token, -1)))
    entropy, kept = distribution.entropy_bits(), tuple(candidates)
    if chosen is None:
        return Token(index, None, b"", None, None, None, entropy, kept, stages)
    name, control = model.pieces[chosen]
    return Token(
        index=index,
        id=chosen,
        piece=b"" if control else name,
        logprob=logprobs[shown.index(chosen)],
        prob=None if prob is None else prob.get(chosen, 0.0),
        rank=distribution.rank(chosen),
        entropy=entropy,
        top=kept,
        stages=stages,
        special=name.decode("utf-8", "replace") if control else "",
    )
