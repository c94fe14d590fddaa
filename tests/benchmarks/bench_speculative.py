"""What guessing ahead is worth: decode speed with it, against the same run without it. Run it by hand.

    python tests/benchmarks/bench_speculative.py [MODEL] [THREADS]

Two prompts whose replies repeat them (code that is edited, a text that is written out again) and one that repeats
nothing (at a high temperature), in paired runs one after the other. Prints the median speed-up of the pairs, the share
of guesses that were right and the speed without. What a guess costs depends on the machine: on one core eight tokens
in one step take five times as long as one, on a GPU hardly longer. THREADS 0 is the default of the app.
"""

from __future__ import annotations

import statistics
import sys
from typing import Final, NamedTuple

from playground.domain.events import Event, Failed, Finished
from playground.domain.messages import GenerationRequest, RawPrompt
from playground.domain.models import LoadOptions
from playground.domain.params import replace
from playground.domain.sampling import SamplingParams
from playground.engine.engine import Engine
from playground.engine.model import open_model
from playground.services.models import starter_model

PAIRS: Final = 3
TOKENS: Final = 160
WIDTHS: Final = (4, 8, 16)
CODE: Final = """def area_of_square(side):
    return side * side

def area_of_circle(radius):
    return 3.14159 * radius * radius

def area_of_triangle(base, height):
    return base * height / 2

# The same file, with the function names unchanged:

def area_of_square(side):
"""
COPY: Final = """Original: The old lighthouse stands on the northern cliff. Its keeper, a man named Aldous, climbs the
spiral stairs every evening, lights the great lamp and writes the weather into a book. No ship has passed for years.

Copy of the original: The old lighthouse stands on the northern cliff. Its keeper, a man"""
STORY: Final = "Here is a short story about a river, told slowly. Once upon a time"
PROMPTS: Final = {"code edited": CODE, "text copied": COPY, "story, nothing repeats": STORY}
HOT: Final = SamplingParams(temperature=1.2, top_k=0, top_p=1.0, min_p=0.02, seed=1)


class Run(NamedTuple):
    """One reply."""

    tokens_per_second: float
    right: float
    """Share of the guesses."""


def run(engine: Engine, prompt: str, params: SamplingParams) -> Run:
    """One reply from an empty cache."""
    events: list[Event] = []
    engine.redirect(events.append)
    engine.submit(GenerationRequest(stream=1, prompt=RawPrompt(prompt), params=params))
    while engine.busy:
        engine.step()
    engine.forget()
    last = events[-1]
    assert isinstance(last, Finished), last.problem.message if isinstance(last, Failed) else last
    usage, speed = last.usage, last.timings.tokens_per_second or 0.0
    return Run(speed, (usage.accepted_tokens or 0) / (usage.drafted_tokens or 1))


def main() -> None:
    """Measure and print."""
    path = sys.argv[1] if len(sys.argv) > 1 else str(starter_model())
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    model = open_model(path, LoadOptions(context=2048, threads=threads, threads_batch=threads))
    engine = Engine(model, lambda _: None)
    info = model.info
    print(f"{info.short_name}, {info.device}, {info.threads} threads, {TOKENS} tokens, median of {PAIRS} pairs")
    for name, prompt in PROMPTS.items():
        base = HOT if prompt is STORY else SamplingParams(temperature=0.0)
        for width in WIDTHS:
            params = [replace(base, max_tokens=TOKENS, ignore_eos=True, speculate=most) for most in (0, width)]
            pairs = [tuple(run(engine, prompt, one) for one in params) for _ in range(PAIRS)]
            gain = statistics.median(guessed.tokens_per_second / plain.tokens_per_second for plain, guessed in pairs)
            plain = statistics.median(plain.tokens_per_second for plain, _ in pairs)
            print(
                f"{name:24} at most {width:2}: x{gain:.2f}, {pairs[0][1].right:4.0%} right ({plain:.0f} tok/s without)"
            )
    model.close()


if __name__ == "__main__":
    main()
