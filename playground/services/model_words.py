"""What is known about a model on disk, in words for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from playground.domain.display import display_line
from playground.domain.sizes import size_text
from playground.services.model_facts import Memory, ModelFacts

_UNKNOWN: Final = "–"


def fits(memory: Memory | None) -> str:
    """Whether a model can be loaded now."""
    if memory is None or memory.missing_bytes is None:
        return _UNKNOWN
    return f"does not fit by {size_text(memory.missing_bytes)}" if memory.missing_bytes else "fits"


def fact_lines(facts: ModelFacts, rows: Sequence[Memory], kv_type: str) -> list[str]:
    """Everything about one model, a fact a line, safe for a terminal."""
    told: dict[str, object] = {
        "file": facts.path,
        "name": facts.name,
        "size": size_text(facts.size_bytes) + (f" in {facts.parts} files" if facts.parts > 1 else ""),
        "architecture": facts.architecture,
        "quantisation": facts.quantisation,
        "parameters": facts.parameters,
        "layers": facts.layers,
        "width": facts.width,
        "heads": facts.heads,
        "KV heads": ", ".join(map(str, facts.kv_heads)),
        "head size": _head_size(facts),
        "vocabulary": f"{facts.vocabulary:,}" if facts.vocabulary else "",
        "context": f"{facts.context:,}" if facts.context else "",
        "sliding window": f"{facts.sliding_window:,}" if facts.sliding_window else "none",
        "chat template": "yes" if facts.chat_template else "no",
        "recommended": ", ".join(f"{name} = {value}" for name, value in facts.recommended.items()) or "nothing",
        "licence": facts.licence,
        "pulled from": facts.came_from,
    }
    if not facts.came_from:
        del told["pulled from"]
    lines = [
        f"{name:<15} {display_line(str(value)) if value not in (None, '') else _UNKNOWN}"
        for name, value in told.items()
    ]
    for row in rows:
        total, cache = row.total_bytes, f"{kv_type} cache"
        size = f"≈ {size_text(total)} ({cache} {size_text(row.kv_bytes or 0)})" if total is not None else _UNKNOWN
        lines.append(f"{'memory':<15} {size} at a context of {row.context:,}: {fits(row)}")
    return lines


def _head_size(facts: ModelFacts) -> str:
    key, value = facts.key_width, facts.value_width
    return "" if key is None else str(key) if key == value else f"{key} (key), {value or _UNKNOWN} (value)"
