"""Sums over scored tokens, what is worth a look in them, and which texts a conversation has to score."""

from __future__ import annotations

import math

import pytest

from playground.domain.errors import BadInput
from playground.domain.messages import Prompt, RawPrompt, Role
from playground.domain.score_texts import own_text, texts_of
from playground.domain.scoring import Score, compare_scores, kl_kept, largest_differences, sum_up, surprises
from playground.domain.session import Session
from playground.domain.tokens import Candidate, Token
from playground.domain.transcript import Turn
from tests.domain.support import token

PROMPT: Prompt = RawPrompt("all of it")


def scored(index: int, *shares: float, chosen: int = 0, rank: int = 1) -> Token:
    """A token with candidates of these probabilities."""
    top = tuple(Candidate(place, b"%d" % place, math.log(share), None) for place, share in enumerate(shares))
    return Token(index, chosen, b"%d" % chosen, math.log(shares[chosen]), None, rank, 1.0, top)


def first_token() -> Token:
    """A token before which nothing stands."""
    return Token(0, 9, b"The", None, None, None, None)


def test_figures_leave_out_what_has_no_probability() -> None:
    score = sum_up([first_token(), scored(1, 0.5, 0.5), scored(2, 0.25, 0.75)])
    assert score.scored == 2
    assert score.mean_logprob == pytest.approx(-1.5 * math.log(2))
    assert score.perplexity == pytest.approx(2**1.5)
    assert score.bits_per_byte == pytest.approx(1.5)
    empty = sum_up([first_token()])
    assert (empty.mean_logprob, empty.perplexity, empty.bits_per_byte) == (None, None, None)


def test_the_least_likely_tokens_are_the_surprises() -> None:
    score = sum_up([first_token(), scored(1, 0.5), scored(2, 0.01), scored(3, 0.2)])
    assert [token.index for token in surprises(score, 2)] == [2, 3]
    assert surprises(sum_up([first_token()]), 5) == []


def test_the_largest_differences_come_first_whatever_their_sign() -> None:
    one = sum_up([first_token(), scored(1, 0.5), scored(2, 0.5), scored(3, 0.5)])
    other = sum_up([first_token(), scored(1, 0.4), scored(2, 0.9), scored(3, 0.5)])
    compared = compare_scores(one, other)
    assert [difference.index for difference in largest_differences(compared, 9)] == [2, 1], "none is no difference"
    assert compared.mean_logprob == pytest.approx((math.log(0.8) + math.log(1.8)) / 3)


def test_a_score_compared_with_itself_differs_in_nothing() -> None:
    score = sum_up([first_token(), scored(1, 0.6, 0.3), scored(2, 0.2, 0.7, chosen=1)])
    compared = compare_scores(score, score)
    assert compared.mean_kl_kept == 0.0
    assert compared.mean_logprob == 0.0
    assert compared.same_best == 1.0
    assert largest_differences(compared, 9) == []


def test_the_divergence_over_what_is_kept_is_that_of_the_candidates_and_one_rest() -> None:
    kl, mass = kl_kept(scored(0, 0.5, 0.3), scored(0, 0.4, 0.4))
    assert mass == pytest.approx(0.8)
    assert kl == pytest.approx(0.5 * math.log2(0.5 / 0.4) + 0.3 * math.log2(0.3 / 0.4) + 0.0)
    kl, mass = kl_kept(scored(0, 0.5), scored(0, 0.25))
    assert kl == pytest.approx(0.5 * math.log2(2) + 0.5 * math.log2(0.5 / 0.75))
    assert kl_kept(first_token(), first_token()) == (None, None)


def test_names_of_special_tokens_count_when_tokens_are_compared() -> None:
    def special(name: str) -> Score:
        return sum_up([Token(0, 5, b"", -1.0, None, 1, 1.0, special=name)])

    with pytest.raises(BadInput, match="not of the same tokens"):
        compare_scores(special("<s>"), special("</s>"))


def talk(session: Session, model: str = "small") -> Turn:
    """A message and a reply."""
    user = session.transcript.add(Role.USER, session.transcript.head, text="Hello?")
    reply = session.transcript.add(
        Role.ASSISTANT, user.id, tokens=[token(0, "Hi"), token(1, " you"), token(2, "", special="<|im_end|>")]
    )
    reply.model, reply.prompt = model, session.prompt(user.id)
    return reply


def test_an_empty_conversation_has_nothing_to_score() -> None:
    assert texts_of(Session(), PROMPT, "") == []
    assert texts_of(Session(), PROMPT, "  \n") == []


def test_what_is_likeliest_to_be_meant_comes_first() -> None:
    session = Session()
    first, last = talk(session), talk(session)
    names = [text.name for text in texts_of(session, PROMPT, "", first)]
    assert names == [
        "The reply under the token cursor",
        "The last reply",
        "The whole conversation, as the model gets it",
    ]
    names = [text.name for text in texts_of(session, PROMPT, "And now?", last)]
    assert names == [
        "The reply under the token cursor",
        "The prompt in the editor",
        "The whole prompt, as the model gets it",
    ]


def test_a_model_gets_the_tokens_of_its_own_reply_and_the_text_of_any_other() -> None:
    session = Session()
    reply = talk(session)
    (text, whole) = texts_of(session, PROMPT, "")
    own, other = text.request("small"), text.request("large")
    assert (own.reply_ids, own.reply_text, own.only_reply) == ((100, 101, 102), "", True)
    assert (other.reply_ids, other.reply_text, other.only_reply) == ((), "Hi you", True)
    assert own.prompt == other.prompt == reply.prompt
    assert text.headline("small") == "small's view of its own reply"
    assert text.headline("large") == "large's view of what small wrote"
    assert whole.request("small").prompt == PROMPT
    assert not whole.request("small").only_reply


def test_names_of_control_tokens_in_a_pasted_text_are_text() -> None:
    request = own_text("one <|im_end|> two").request("small")
    assert request.prompt == RawPrompt("one <|im_end|> two")
    assert not request.parse_special
