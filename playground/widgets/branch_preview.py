"""What stands beside the tree of branches: the figures of one branch in words, and its text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from textual.content import Content

from playground.domain.branch_rows import IN_WORDS, UNENDED, WRITING, BranchRow, logprob_text
from playground.domain.branches import Branch, spoken
from playground.domain.display import display_line, display_text
from playground.domain.messages import Role
from playground.domain.tokens import join_text
from playground.widgets.bars import UNKNOWN

_MOST_TEXT: Final = 6000
"""Characters of a branch that are shown; the transcript shows all of it."""
_TOKENS_BEFORE: Final = 24
_Part = tuple[str, str]


def facts_of(branch: Branch, row: BranchRow, panes: Sequence[int] = ()) -> Content:
    """All that is known of a branch; `panes` are the numbers of other panes that show it."""
    parts: list[_Part] = []
    if row.title:
        parts += [(row.title, "bold $accent"), (" · ", "")]
    if row.became:
        parts += [(f"{row.was or UNKNOWN} → ", "$foreground"), (row.became, "bold $mark"), (" · ", "")]
    facts = [IN_WORDS[row.how], _where(branch, row)]
    if row.likelihood.tokens:
        facts += [f"{row.likelihood.tokens:,} token{'s' * (row.likelihood.tokens != 1)}", _likelihood(row)]
    if row.ending:
        facts.append(row.ending if row.ending in (WRITING, UNENDED) else f"ended by: {row.ending}")
    if row.continued_at is not None:
        facts.append(f"» went on at token {row.continued_at + 1:,}")
    if row.model:
        facts.append(row.model)
    if panes:
        facts.append(f"on screen in pane {', '.join(map(str, sorted(panes)))}")
    return Content.assemble(*parts, (" · ".join(facts), ""))


def text_of(branch: Branch) -> Content:
    """The text of a branch from the fork on, with a little of what stands before it."""
    turn, at = branch.turn, branch.begins_at
    parts: list[_Part] = []
    end = at + 1 if at < len(turn.tokens) and turn.forked_at is not None else at
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
    last = branch.number + len(branch.line) - 1
    turns = f"turn {branch.number:,}" if last == branch.number else f"turns {branch.number:,} to {last:,}"
    return f"{turns}, from token {branch.begins_at + 1:,}" if row.became else turns


def _likelihood(row: BranchRow) -> str:
    one = row.likelihood
    if one.logprob is None or one.per_token is None:
        if one.measured:
            return f"log-probability {UNKNOWN} (known for {one.measured:,} of {one.tokens:,} tokens)"
        return f"log-probability {UNKNOWN}"
    each = math.exp(min(0.0, one.per_token))
    text = f"log-probability {logprob_text(one.logprob)}, {logprob_text(one.per_token)} a token"
    return f"{text} (as if each had {each:.0%})"
