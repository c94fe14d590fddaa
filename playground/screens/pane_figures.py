"""A pane in figures: for the status bar, the table of all panes, and the frame around it."""

from __future__ import annotations

import time
from dataclasses import replace

from playground.domain.compare_rows import CompareRow, row_of
from playground.domain.messages import PromptParts, Role
from playground.domain.sampling import UNLIMITED
from playground.domain.session import Phase
from playground.domain.usage import Usage
from playground.screens.pane import Pane
from playground.widgets.status_bar import StatusView


def status_of(pane: Pane) -> StatusView:
    """What the status bar shows."""
    session, figures, card = pane.session, pane.session.figures, pane.card
    parts, reply, estimate = figures.parts, figures.reply_tokens, figures.estimate
    draft = pane.draft if pane.draft is not None and pane.draft.place == pane.place else None
    if not session.busy:  # what was said is history now, and the draft is the prompt
        parts = PromptParts(parts.system, parts.history + parts.prompt + reply)
        reply = 0
        if draft is not None:
            parts, estimate = draft.parts, not draft.exact
    limit = session.params.max_tokens
    cost = cost_of(pane)
    return StatusView(
        model=card.short_name if card is not None else "",
        parts=parts,
        reply_tokens=reply,
        reserve=0 if limit == UNLIMITED else limit,
        context=card.n_ctx if card is not None else None,
        estimate=estimate,
        max_output=card.max_output if card is not None else None,
        ttft_ms=figures.ttft_ms,
        tokens_per_second=figures.tokens_per_second,
        speed_estimate=figures.estimate and figures.usage is None,
        prefill_tokens_per_second=figures.prefill_tokens_per_second,
        inter_token_p50_ms=figures.inter_token_p50_ms,
        inter_token_p95_ms=figures.inter_token_p95_ms,
        memory_bytes=figures.memory_bytes,
        cost=cost,
        cost_estimate=bool(cost) and (figures.usage is None or figures.usage.estimate),
        price_unknown=figures.usage is not None and figures.usage.cost is None,
        state=state_of(pane),
        busy=session.busy,
    )


def compare_row(pane: Pane, number: int) -> CompareRow:
    """The figures of the last reply, for the table of all panes; `number` is the pane's, from 1."""
    row = row_of(
        number,
        pane.session.transcript.last(Role.ASSISTANT),
        model=pane.card.short_name if pane.card is not None else "",
        preset=preset_label(pane),
        phase=pane.session.phase,
        figures=pane.session.figures,
        perplexity=pane.perplexity,
        cost_so_far=cost_of(pane),
    )
    return replace(row, ending=_countdown(pane)) if pane.session.phase is Phase.RETRYING else row


def preset_label(pane: Pane) -> str:
    """The preset's name, with a star when something was changed since."""
    changed = pane.tuning.defaults(pane.session.params) != pane.session.params
    return f"{pane.tuning.name}*" if changed else pane.tuning.name


def cost_of(pane: Pane) -> float | None:
    """US dollars of the last call, or of the present one so far; None when there is nothing to say."""
    figures, card = pane.session.figures, pane.card
    if figures.usage is not None:
        return figures.usage.cost
    if not pane.session.busy:
        return 0.0 if card is not None and card.local else None
    so_far = Usage(prompt_tokens=figures.prompt_tokens, completion_tokens=figures.reply_tokens, estimate=True)
    answering = pane.runner.answering
    return pane.runner.price(answering, so_far) if answering is not None else None


def state_of(pane: Pane) -> str:
    """What is going on, in a word or two."""
    figures = pane.session.figures
    match pane.session.phase:
        case Phase.IDLE:
            return pane.model_state or _ending(pane) or ("‖ token by token" if pane.stepping else "ready")
        case Phase.SENT:
            return "sent"
        case Phase.PREFILL:
            return f"prefill {figures.prefill_done:,}/{figures.prefill_total:,}" if figures.prefill_total else "prefill"
        case Phase.THINKING:
            return "thinking"
        case Phase.RETRYING:
            return _countdown(pane)
        case Phase.WRITING:
            return "writing"


def _ending(pane: Pane) -> str:
    turn = pane.session.transcript.last(Role.ASSISTANT)
    if turn is not None and turn.problem is not None:
        return "✗ failed"
    return f"■ {turn.stop_reason.sentence}" if turn is not None and turn.stop_reason is not None else ""


def _countdown(pane: Pane) -> str:
    waiting = pane.session.retrying
    if waiting is None:
        return "trying again"
    left_s = max(0.0, waiting.resume_at - time.monotonic())
    # The seconds come first: the end of a state is cut off where there is little room.
    return f"retry in {left_s:.0f} s · {waiting.attempt + 1} of {waiting.attempts} · {waiting.problem.kind_in_words}"
