"""What a text would cost at the models that count with some tokenizer, and how much of their window it fills."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from playground.domain.endpoints import Endpoint, ModelRef, parse_model_ref
from playground.domain.models import ModelCard
from playground.services.prices import PriceTable
from playground.services.settings import Settings
from playground.services.tokenizers import yardstick_for

_STAND_INS: Final = {"o200k_base": "openai/gpt-4o", "cl100k_base": "openai/gpt-4"}
"""Models whose prices are shown while no other that counts with the vocabulary is known."""
_OWN: Final = re.compile(r"(ft:)?(gpt-|chatgpt-|o\d)")
"""Models of OpenAI, whose vocabulary is known and not only near."""


class Known(NamedTuple):
    """A hosted model whose price may be told."""

    ref: ModelRef
    n_ctx: int | None = None
    """Context window in tokens, when it was told."""


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """A text at one model. None is "nobody knows"."""

    model: str
    tokens: int
    exact: bool
    """Counted with the model's own tokenizer, or one that is the same."""
    as_prompt: float | None
    """US dollars to send it."""
    as_reply: float | None
    """US dollars to have it written."""
    window: int | None
    """Context window in tokens."""


def known_models(cards: Iterable[ModelCard], settings: Settings, endpoints: Mapping[str, Endpoint]) -> list[Known]:
    """The hosted models on screen, the one that settings begin with, and those with a price of the person's own."""
    names = set(endpoints)
    found = {ref: Known(ref, card.n_ctx) for card in cards if (ref := parse_model_ref(card.id, names)).endpoint}
    for text in (settings.model, *settings.prices):
        ref = parse_model_ref(text, names)
        if ref.endpoint and ref.name:
            found.setdefault(ref, Known(ref))
    return list(found.values())


def bills(
    vocabulary: str, count: int, known: Iterable[Known], endpoints: Mapping[str, Endpoint], prices: PriceTable
) -> list[Bill]:
    """A text that has so many tokens of one of tiktoken's vocabularies, at the models that this vocabulary tells about.

    With none among `known`, at a model everybody knows. The first question reads the table of prices, see `PriceTable`.
    """
    near = [one for one in known if yardstick_for(one.ref.name).vocabulary == vocabulary]
    if not near and vocabulary in _STAND_INS:
        near = [Known(parse_model_ref(_STAND_INS[vocabulary], set(endpoints)))]
    return [_bill(one, count, endpoints, prices) for one in near if one.ref.endpoint in endpoints]


def _bill(known: Known, count: int, endpoints: Mapping[str, Endpoint], prices: PriceTable) -> Bill:
    endpoint, model = endpoints[known.ref.endpoint], known.ref.name
    factor = yardstick_for(model).factor
    tokens = round(count * factor)
    return Bill(
        model=model,
        tokens=tokens,
        exact=_OWN.match(model.rsplit("/", 1)[-1]) is not None,
        as_prompt=prices.estimate(endpoint, model, tokens, 0),
        as_reply=prices.estimate(endpoint, model, 0, tokens),
        window=known.n_ctx or prices.context_window(endpoint, model),
    )
