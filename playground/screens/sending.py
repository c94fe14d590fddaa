"""What is looked at before a prompt goes out: does it fit, what will it cost. Nothing is cut without being asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from playground.domain.counts import count_of
from playground.domain.errors import BudgetReached
from playground.domain.fitting import Cut, Fit, reply_reserve
from playground.domain.messages import PromptParts
from playground.domain.prices import usd_text
from playground.domain.usage import TokenCount
from playground.screens.choice_dialog import Answer, Question
from playground.screens.pane import Pane
from playground.services.accounts import Accounts
from playground.services.counting import TokenCounter
from playground.services.limits import ContextWindow

_CLOSE: Final = 0.25
"""Share of the context window from which on a prompt is counted exactly before it goes; below, an estimate will do."""
_KINDS: Final = {
    "oldest": "Leave out the oldest turns",
    "middle": "Cut from the middle of the longest message",
    "reply": "Make the reply shorter",
}

Ask = Callable[[Question], Awaitable[int | None]]


class Draft(NamedTuple):
    """What is known about a prompt that is being written."""

    tokens: TokenCount
    """Of the text by itself."""
    total: TokenCount
    """Of everything that would be sent with it."""
    parts: PromptParts
    """The same, by what it belongs to."""
    cost: float | None
    """US dollars; None when the price is unknown."""


class Sender:
    """Measures prompts against the limits of the panes they go to."""

    def __init__(self, accounts: Accounts, counter: TokenCounter, ask: Ask) -> None:
        self._accounts = accounts
        self._counter = counter
        self._ask = ask

    async def measure(self, pane: Pane, text: str) -> Draft:
        """Tokens and cost of a draft. Cheap: servers are not asked."""
        assert pane.card is not None, "there is a model"
        backend = pane.runner.backend if pane.card.local else None
        tokens = await self._counter.count_text(backend, pane.card, text)
        prompt = pane.prompt_with(text)
        counted = await self._counter.count_parts(backend, pane.card, prompt)
        total = TokenCount(counted.parts.total, counted.exact, counted.method)
        if not pane.card.local:
            await self._accounts.load()  # reading the table would hold up the screen
        cost = self._accounts.estimate(pane.card, total.tokens, pane.session.params.max_tokens)
        return Draft(tokens, total, counted.parts, cost)

    async def plan(self, panes: Sequence[Pane], text: str) -> dict[Pane, Cut | None] | None:
        """What goes to which pane: as it is (None), or with a cut the person chose. None: nothing is to be sent."""
        plan: dict[Pane, Cut | None] = {}
        costs: list[float | None] = []
        for pane in panes:
            if pane.card is None:
                plan[pane] = None
                continue
            draft = await self.measure(pane, text)
            costs.append(draft.cost)
            if not pane.card.local:  # servers tell the length of a prompt, but not what makes it up
                pane.session.figures.parts = draft.parts
            going, cut = await self._fitted(pane, text, draft.total)
            if not going:
                return None
            plan[pane] = cut
        return plan if await self._affordable(costs) else None

    async def may_go_again(self, panes: Sequence[Pane]) -> bool:
        """Whether what was sent before may be answered once more, as far as budgets go."""
        costs: list[float | None] = []
        for pane in panes:
            if pane.card is not None and pane.session.transcript.head is not None:
                total = await self._counter.estimate_prompt(pane.card, pane.prompt_with(""))
                costs.append(self._accounts.estimate(pane.card, total.tokens, pane.session.params.max_tokens))
        return await self._affordable(costs)

    async def _fitted(self, pane: Pane, text: str, estimate: TokenCount) -> tuple[bool, Cut | None]:
        card = pane.card
        assert card is not None, "there is a model"
        limit = pane.session.params.max_tokens
        reserve = reply_reserve(limit, card.max_output)
        if card.n_ctx is None or estimate.tokens + reserve < _CLOSE * card.n_ctx:
            return True, None
        window = ContextWindow(self._counter, pane.runner.backend, card)
        prompt = pane.prompt_with(text)
        fit = await window.check_fit(prompt, limit)
        if not fit.over_by:
            return True, None
        ways = await window.ways_out(prompt, limit)
        answers = [Answer(_KINDS[cut.kind], _meaning(cut)) for cut in ways]
        if not fit.exact:
            answers.append(Answer("Send it as it is", "the count is an estimate; the server has the last word"))
        if not answers:
            answers.append(Answer("Back to the prompt", "nothing that can be left out is long enough"))
        chosen = await self._ask(Question("It does not fit", _what_is_wrong(fit, card.short_name), answers))
        if chosen is None or (not ways and fit.exact):
            return False, None
        return True, ways[chosen] if chosen < len(ways) else None

    async def _affordable(self, costs: Sequence[float | None]) -> bool:
        try:
            self._accounts.spending.check_budget(*costs)
        except BudgetReached as error:
            question = Question("A budget would be overdrawn", str(error), [Answer("Send it all the same")])
            return await self._ask(question) is not None
        return True


def _what_is_wrong(fit: Fit, model: str) -> str:
    return f"{model}: {fit.sentence}"


def _meaning(cut: Cut) -> str:
    if cut.kind == "reply":
        return f"at most {count_of(cut.max_tokens, 'token')}"
    about = "" if cut.fit.exact else "≈"
    room = f", {about}{cut.fit.free + cut.fit.reply:,} are free for the reply" if cut.fit.free is not None else ""
    return f"{cut.left_out} left out; {about}{cut.fit.parts.total:,} go{room}"


def cost_text(costs: Sequence[float | None]) -> str:
    """What sending to these panes would cost, for the prompt's border; empty when all of them are free."""
    known = [cost for cost in costs if cost is not None]
    if not any(known) and len(known) == len(costs):
        return ""
    if not known:
        return "price unknown"
    if len(known) < len(costs):
        return "price partly unknown" if not any(known) else f"more than ≈{usd_text(sum(known))} with reply"
    return f"≈{usd_text(sum(known))} with reply"
