"""What stands beside the tree of branches: the figures of one branch in words, and its text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from textual.content import Content

from playground.domain.branch_rows import IN_WORDS, UNENDED, WRITING, BranchRow, logprob_text
from playground.domain.branches import Branch, Likelihood, spoken
from playground.domain.display import display_line, display_text
from playground.domain.messages import Role
from playground.domain.tokens import join_text
from playground.widgets.bars import UNKNOWN, fit

_MOST_TEXT: Final = 6000
"""Characters of a branch that are shown; the transcript shows all of it."""
_TOKENS_BEFORE: Final = 24
_MOST_TITLE, _MOST_BECAME = 32, 40
_Part = tuple[str, str]


def facts_of(branch: Branch, row: BranchRow, panes: Sequence[int] = ()) -> Content:
    """All that is known of a branch; `panes` are the numbers of other panes that show it."""
    parts: list[_Part] = []
    if row.title:
        parts += [(fit(row.title, _MOST_TITLE).rstrip(), "bold $accent"), (" · ", "")]
    facts = [IN_WORDS[row.how], _where(branch, row)]
    if row.whole.tokens:
        facts.append(f"whole reply: {_likelihood(row.whole)}")
    if row.forked and row.likelihood.tokens:
        replies = sum(turn.role is Role.ASSISTANT for turn in branch.line)
        later = f", all {replies:,} replies" if replies > 1 else ""
        facts.append(f"from the fork on{later}: {_likelihood(row.likelihood)}")
    if row.ending:
        facts.append(row.ending if row.ending in (WRITING, UNENDED) else f"ended by: {row.ending}")
    if row.continued_at is not None:
        facts.append(f"» went on at token {row.continued_at + 1:,}")
    if row.model:
        facts.append(row.model)
    if panes:
        facts.append(f"on screen in pane {', '.join(map(str, sorted(panes)))}")
    parts.append((" · ".join(facts), ""))
    if row.became:
        became = fit(row.became, _MOST_BECAME).rstrip()
        parts += [(f" · {row.was or UNKNOWN} → ", "$foreground"), (became, "bold $mark")]
    return Content.assemble(*parts)


def text_of(branch: Branch) -> Content:
    """The text of a branch from the fork on, with a little of what stands before it."""
    turn, at = branch.turn, branch.begins_at
    parts: list[_Part] = []
    end = at + 1 if at < len(turn.tokens) and branch.source is not None else at
    while at in turn.by_hand and end in turn.by_hand:
        end += 1
    if turn.role is Role.ASSISTANT and end > at:
        start = max(0, at - _TOKENS_BEFORE)
        before = display_text(join_text([token.piece for token in turn.tokens[start:at]]))
        parts.append((f"{'…' if start else ''}{before}", "$foreground 55%"))
        parts.append((display_text(join_text([token.piece for token in turn.tokens[at:end]])), "bold $mark"))
    for number, (one, text) in enumerate(spoken(branch, _MOST_TEXT, skip=end - at)):
        if number:
            parts.append(("\n\n", ""))
        if one.role is Role.USER:
            parts.append(("You\n", "bold $role-user"))
        elif number:
            parts.append((f"{display_line(one.model) or 'Model'}\n", "bold $role-assistant"))
        parts.append((display_text(text), "$role-user" if one.role is Role.USER else "$foreground"))
    return Content.assemble(*parts)


def _where(branch: Branch, row: BranchRow) -> str:
    """Which replies they are; a message alone has none yet."""
    first = (branch.number + 1) // 2
    if branch.last_reply is None:
        return f"message {first:,}"
    last = (branch.number + branch.line.index(branch.last_reply) + 1) // 2
    replies = f"reply {first:,}" if last <= first else f"replies {first:,} to {last:,}"
    return f"{replies}, from token {branch.begins_at + 1:,}" if row.forked else replies


def _likelihood(one: Likelihood) -> str:
    tokens = f"{one.tokens:,} token{'s' * (one.tokens != 1)}"
    if one.logprob is None or one.per_token is None:
        known = f" (known for {one.measured:,} of them)" if one.measured else ""
        return f"{tokens}, log-probability {UNKNOWN}{known}"
    each = math.exp(min(0.0, one.per_token))
    text = f"{tokens}, log-probability {logprob_text(one.logprob)}, {logprob_text(one.per_token)} a token"
    return f"{text} ({each:.0%} each)"
