"""Rows of the list of models."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from playground.domain.display import display_text
from playground.domain.endpoints import REPLAY, ModelRef
from playground.domain.models import ModelCard, ModelFile
from playground.domain.sizes import size_text
from playground.services.model_facts import Memory

COLUMNS: Final = ("model", "found in", "size", "memory", "quant.", "params", "context", "arch.")
_CURRENT: Final = "● "


def file_cells(model: ModelFile, current: ModelRef | None, memory: Memory | None, *, recent: bool) -> list[Text]:
    """Those of a file; `memory` is what it would take, as far as that is known."""
    mark = _CURRENT if current is not None and model.path == current.name else ""
    cells = (
        mark + model.name,
        "recent" if recent and model.source != "starter" else model.source,
        size_text(model.size_bytes),
        _memory_words(memory),
        model.quantisation or "–",
        model.parameters or "–",
        f"{model.n_ctx_train:,}" if model.n_ctx_train else "–",
        model.architecture or "–",
    )
    style = "dim" if model.problem else ""
    return [Text(display_text(cell), style=style, no_wrap=True) for cell in cells]


def hosted_cells(card: ModelCard, current: ModelRef | None) -> list[Text]:
    """Those of a model on a server, or of a recorded run."""
    mark = _CURRENT if current is not None and card.id == current.text else ""
    source = "recording" if card.provider == REPLAY else card.provider
    context = f"{card.n_ctx:,}" if card.n_ctx else "–"
    cells = (f"{mark}{card.short_name}", source, "–", "–", "–", "–", context, "–")
    return [Text(display_text(cell), no_wrap=True) for cell in cells]


def _memory_words(memory: Memory | None) -> str:
    if memory is None or memory.total_bytes is None:
        return "–"
    return f"≈ {size_text(memory.total_bytes)}" + (" !" if memory.missing_bytes else "")
