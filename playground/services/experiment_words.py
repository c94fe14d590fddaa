"""A sweep in words: what it will take, and how far it is. The same on the command line and in the app."""

from __future__ import annotations

from typing import Final

from playground.domain.display import display_line
from playground.domain.experiments import Sweep
from playground.domain.prices import usd_text
from playground.services.experiment_output import short_model
from playground.services.experiment_plans import SweepEstimate
from playground.services.experiments import SweepProgress

_UNTOLD: Final = "known after the first reply"


def product_words(sweep: Sweep) -> str:
    """Such as "2 prompts x 7 settings x 1 model x 8 samples"."""
    counts = (
        (len(sweep.prompts), "prompt"),
        (len(sweep.settings), "setting"),
        (len(sweep.models), "model"),
        (sweep.samples, "sample"),
    )
    return " x ".join(f"{count:,} {what}{'s' if count != 1 else ''}" for count, what in counts)


def estimate_lines(sweep: Sweep, estimate: SweepEstimate) -> list[str]:
    """What a sweep will take, in three lines."""
    seeds = f"seed {sweep.seed}" if sweep.samples == 1 else f"seeds {sweep.seed} to {sweep.seed + sweep.samples - 1}"
    kept = f", {estimate.kept:,} of {estimate.kept + estimate.requests:,} done already" if estimate.kept else ""
    cost = "–" if estimate.cost is None else f"≈{usd_text(estimate.cost)} at most" if estimate.cost else usd_text(0)
    time = _UNTOLD if estimate.seconds is None else f"≈{duration(estimate.seconds)}"
    if estimate.tokens_per_second is not None:
        time += f" at most, at the {estimate.tokens_per_second:,.0f} tokens/s measured before"
    about = "" if estimate.prompts_exact else "≈"
    return [
        f"Requests: {estimate.requests:,} ({product_words(sweep)}; {seeds}){kept}",
        f"Tokens: {about}{estimate.prompt_tokens:,} of prompts, ≈{estimate.completion_tokens:,} of replies at most",
        f"Cost: {cost} · Time: {time}",
    ]


def nothing_run_line(sweep: Sweep) -> str:
    """What is said in place of an estimate when every cell has a reply already."""
    count = len(sweep.cells)
    done = f"All {count:,} cells were" if count != 1 else "The only cell was"
    return f"{done} done already; nothing was run."


def progress_line(progress: SweepProgress) -> str:
    """Such as " 12/64 · 210 tokens/s · 0:12 left · $0.0031"."""
    if progress.loading:
        return f"loading {display_line(short_model(progress.loading))} …"
    parts = [f"{progress.kept + progress.done}/{progress.total}"]
    speed, left = progress.tokens_per_second, progress.left_s
    parts.append("– tokens/s" if speed is None else f"{speed:,.0f} tokens/s")
    parts.append("time left: after the first reply" if left is None else f"≈{duration(left)} left")
    if progress.spent.usd or progress.spent.unknown:
        parts.append(str(progress.spent))
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """Such as 0:12 or 1:02:30."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
