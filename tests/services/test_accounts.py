"""The books of a session: prices, sums, waiting times."""

from __future__ import annotations

import pytest

from playground.domain.endpoints import Endpoint
from playground.domain.events import Finished, StopReason
from playground.domain.models import LOCAL, ModelCard
from playground.domain.prices import Price
from playground.domain.sampling import UNLIMITED
from playground.domain.usage import Timings, Usage
from playground.services.accounts import EXPECTED_REPLY, Accounts
from playground.services.settings import Settings

CLAUDE = ModelCard(id="claude/claude-sonnet-4-5", short_name="claude-sonnet-4-5", provider="claude")
OWN = ModelCard(id="box/mine", short_name="mine", provider="box")
STRANGE = ModelCard(id="box/strange", short_name="strange", provider="box")
HERE = ModelCard(id="/models/x.gguf", short_name="x", provider=LOCAL)
PLAYED = ModelCard(id="replay/tour", short_name="tour", provider="replay")
ENDPOINTS = {
    "claude": Endpoint(name="claude", api="anthropic", base_url="http://127.0.0.1:1", price_provider="anthropic"),
    "box": Endpoint(name="box", api="openai", base_url="http://127.0.0.1:2/v1"),
}
SETTINGS = Settings(prices={"box/mine": Price(input_per_mtok=1.0, output_per_mtok=10.0)})


def accounts() -> Accounts:
    return Accounts(SETTINGS, lambda: ENDPOINTS)


def finished(usage: Usage, ttft_ms: float = 100.0) -> Finished:
    timings = Timings(ttft_ms=ttft_ms, tokens_per_second=50.0)
    return Finished(stream=1, reason=StopReason.STOP, text="", usage=usage, timings=timings)


@pytest.mark.parametrize(
    ("card", "cost"), [(CLAUDE, 0.0045), (OWN, 0.003), (STRANGE, None), (HERE, 0.0), (PLAYED, 0.0)]
)
async def test_a_call_costs_what_its_model_costs_and_unknown_stays_unknown(card: ModelCard, cost: float | None) -> None:
    books = accounts()
    await books.load()
    price = books.price(card, Usage(prompt_tokens=1000, completion_tokens=100 if card is CLAUDE else 200))
    assert price == (None if cost is None else pytest.approx(cost))


async def test_an_estimate_reckons_with_the_limit_or_with_the_length_of_the_last_reply() -> None:
    books = accounts()
    assert books.estimate(OWN, 1000, 100) == pytest.approx(0.001 + 0.001)
    assert books.estimate(OWN, 1000, UNLIMITED) == pytest.approx(0.001 + EXPECTED_REPLY / 100_000)
    await books.settle(OWN, finished(Usage(prompt_tokens=10, completion_tokens=20, cost=0.1)))
    assert books.estimate(OWN, 1000, UNLIMITED) == pytest.approx(0.001 + 0.0002)
    assert books.estimate(STRANGE, 1000, 100) is None
    assert books.estimate(HERE, 1000, 100) == 0.0


async def test_sums_say_what_they_lack_and_what_is_free_is_not_in_them() -> None:
    books = accounts()
    await books.settle(OWN, finished(Usage(completion_tokens=1, cost=0.25)))
    await books.settle(STRANGE, finished(Usage(completion_tokens=1, cost=None)))
    await books.settle(HERE, finished(Usage(completion_tokens=1, cost=None)))
    await books.settle(PLAYED, finished(Usage(completion_tokens=1, cost=9.0)))
    assert (books.spending.session.usd, books.spending.session.unknown) == (0.25, 1)
    assert (books.spending.day.usd, books.spending.day.unknown) == (0.25, 1)


async def test_a_reply_that_broke_off_is_of_unknown_cost_unless_it_is_free() -> None:
    books = accounts()
    await books.settle_broken(OWN)
    await books.settle_broken(HERE)
    assert books.spending.session.unknown == 1


async def test_waiting_times_are_kept_by_model() -> None:
    books = accounts()
    for ttft_ms in (100.0, 200.0, 300.0):
        await books.settle(HERE, finished(Usage(completion_tokens=1), ttft_ms))
    await books.settle(OWN, finished(Usage(completion_tokens=1, cost=0.0), 900.0))
    by_model = {summary.model: summary for summary in books.latency.summaries()}
    assert by_model[HERE.id].ttft_ms.p50 == 200.0
    assert by_model[OWN.id].count == 1
