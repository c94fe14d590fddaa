"""A loaded GGUF model: its vocabulary, its context, and what it turned out to be."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import llama_cpp
import llama_cpp.llama_cpp as lib
import psutil
from msgspec.structs import replace

from playground.domain.errors import BadInput, ModelFileError, OutOfMemory, PlaygroundError
from playground.domain.models import LoadOptions, ModelInfo
from playground.domain.sizes import size_text
from playground.engine import llama_log, memory
from playground.engine.gguf import GgufHeader, kv_bytes_per_token, recommended_params, shown_path
from playground.engine.gguf_checks import check_model_file, split_parts
from playground.engine.libllama import Context, gpu_name, initialise, load_model
from playground.engine.prefixes import Prefixes
from playground.engine.stages import Vocabulary
from playground.engine.tokenizer import Pieces, Tokenizer, chat_template

_ALL_LAYERS = 999
_SMALLER = "Choose a smaller quantisation, or close other programs."
_VOCAB_TYPES = {1: "SPM", 2: "BPE", 3: "WPM", 4: "UGM", 5: "RWKV", 6: "PLaMo-2"}


class LoadedModel(Tokenizer):
    """Weights, vocabulary and one context. Use `open_model` to make one, `close` to give the memory back."""

    def __init__(self, pointer: Any, context: Context, info: ModelInfo) -> None:
        self.pointer = pointer
        self.context = context
        self.info = info
        super().__init__(lib.llama_model_get_vocab(pointer), info.chat_template, info.short_name)
        n_vocab = info.n_vocab
        ends = tuple(token for token in range(n_vocab) if lib.llama_vocab_is_eog(self._vocab, token))
        self.vocabulary = Vocabulary(
            pointer=self._vocab,
            size=n_vocab,
            n_ctx=context.n_ctx,
            n_ctx_train=info.n_ctx_train,
            end_tokens=ends,
            prefixes=Prefixes(self._vocab, n_vocab, ends),
        )
        self._ends = frozenset(ends)
        self.pieces = Pieces(self._vocab, self._ends)
        self.swa = int(lib.llama_model_n_swa(pointer))

    def is_end(self, token: int) -> bool:
        """True for tokens with which the model ends a reply."""
        return token in self._ends

    def bias_ids(self, bias: dict[str, float]) -> dict[int, float]:
        """Logit bias by id. Raises BadInput for a text that is not one token, and for two biases of one token."""
        by_id: dict[int, float] = {}
        for text, value in bias.items():
            token = self._one_token(text)
            if token is None:
                parts = " ".join(f"#{i}" for i in self.tokenize(text, special=True, begin=False))
                hint = f"Its tokens: {parts}." if text[:1] != "#" else f"Ids go from #0 to #{self.info.n_vocab - 1}."
                raise BadInput(f"The logit bias for {text!r} is not one token of this model.", hint)
            if by_id.setdefault(token, value) != value:
                raise BadInput(
                    f"The token #{token} has two logit biases, {by_id[token]:g} and {value:g} (as {text!r}).",
                    "A token can be named by its text and by its id; keep one of the two.",
                )
        return by_id

    def _one_token(self, text: str) -> int | None:
        """Id of "#id", or of the token that stands for exactly this text; None when there is none."""
        if not text:
            return None
        if re.fullmatch("#[0-9]{1,9}", text):
            return int(text[1:]) if int(text[1:]) < self.info.n_vocab else None
        data = text.encode("utf-8", errors="replace")
        ids = self.tokenize(text, special=True, begin=False)
        if len(ids) == 1 and self.pieces.read(ids[0]) == data:
            return ids[0]
        # SentencePiece puts an invisible space in front of what it splits, so its own way finds " Yes" for "Yes".
        return next((token for token in range(self.info.n_vocab) if self.pieces.read(token) == data), None)

    def share_cores(self, workers: int) -> None:
        """Take no more threads than an equal part of the cores, while as many workers compute.

        Threads wait for one another hundreds of times a token. With more of them than cores, one of them always waits
        for a core: on two cores, two workers with two threads each wrote 57 tokens/s together, with one each 155.
        """
        physical, logical = _cores()
        threads, threads_batch = max(1, physical // workers), max(1, logical // workers)
        self.context.set_threads(min(self.info.threads, threads), min(self.info.threads_batch, threads_batch))

    def close(self) -> None:
        """Give the memory back."""
        self.context.free()
        if self.pointer:
            lib.llama_model_free(self.pointer)
            self.pointer = None


def open_model(
    path: str, options: LoadOptions | None = None, progress: Callable[[float], bool] | None = None
) -> LoadedModel:
    """Load a GGUF text model. `progress` gets 0.0 to 1.0 and answers whether to go on.

    Raises:
        ModelFileError: the file is missing, damaged or no text model.
        OutOfMemory: weights or context do not fit.
    """
    started = time.monotonic()
    plan = _plan(Path(path).expanduser(), options or LoadOptions())
    pointer = _load_weights(plan, progress or (lambda _: True))
    try:
        context, fit = _make_context(pointer, plan)
    except PlaygroundError:
        lib.llama_model_free(pointer)
        raise
    info = _describe(pointer, context, fit, plan)
    return LoadedModel(pointer, context, replace(info, load_ms=(time.monotonic() - started) * 1000))


class _Plan(NamedTuple):
    """What is known before anything is loaded."""

    file: Path
    header: GgufHeader
    options: LoadOptions
    gpu: str
    """Name of the GPU; empty when there is none."""
    layers: int
    """Layers to be put on it."""
    need_bytes: int
    """Size of the weights."""
    free_bytes: int
    """Memory that is free before they come."""
    kv_bytes_per_token: int
    """0 when unknown."""


def _plan(file: Path, options: LoadOptions) -> _Plan:
    header = check_model_file(file)
    initialise()
    llama_log.listen()
    gpu = gpu_name()
    return _Plan(
        file=file,
        header=header,
        options=options,
        gpu=gpu,
        layers=(options.gpu_layers if options.gpu_layers >= 0 else _ALL_LAYERS) if gpu else 0,
        need_bytes=sum(part.stat().st_size for part in split_parts(file)),
        free_bytes=memory.available_bytes(),
        kv_bytes_per_token=kv_bytes_per_token(header, options.kv_type) or 0,
    )


def _load_weights(plan: _Plan, progress: Callable[[float], bool]) -> Any:
    need, mmap = size_text(plan.need_bytes), plan.options.mmap
    if plan.need_bytes > plan.free_bytes and not mmap:
        free = size_text(plan.free_bytes)
        raise OutOfMemory(f"The model needs {need}, but only {free} of memory is free.", _SMALLER)
    pointer = load_model(str(plan.file), gpu_layers=plan.layers, mmap=mmap, progress=progress)
    if not pointer:
        raise llama_log.refusal(
            ModelFileError(
                f"llama.cpp cannot load {shown_path(Path(plan.file.name))}.",
                "The file may be damaged, or its architecture newer than the installed llama-cpp-python; "
                "download it again or upgrade the package.",
            ),
            f"The model needs {need}, and that does not fit in memory.",
            _SMALLER,
        )
    return pointer


def _make_context(pointer: Any, plan: _Plan) -> tuple[Context, memory.ContextFit]:
    fit = memory.fit_context(
        wanted=plan.options.context,
        trained=lib.llama_model_n_ctx_train(pointer),
        kv_bytes_per_token=plan.kv_bytes_per_token,
        free_bytes=None if plan.layers else max(0, plan.free_bytes - plan.need_bytes),
    )
    threads, threads_batch = default_threads(plan.options)
    context = Context(pointer, n_ctx=fit.n_ctx, threads=threads, threads_batch=threads_batch, options=plan.options)
    return context, fit


def _describe(pointer: Any, context: Context, fit: memory.ContextFit, plan: _Plan) -> ModelInfo:
    header, memory_kind = plan.header, _memory_kind(pointer)
    threads, threads_batch = default_threads(plan.options)
    return ModelInfo(
        path=str(plan.file),
        name=header.name or plan.file.stem,
        architecture=header.architecture,
        quantisation=header.quantisation,
        parameters=int(lib.llama_model_n_params(pointer)),
        size_bytes=plan.need_bytes,
        n_vocab=context.n_vocab,
        vocab_type=_VOCAB_TYPES.get(lib.llama_vocab_type(lib.llama_model_get_vocab(pointer)), "unknown"),
        n_ctx=context.n_ctx,
        n_ctx_train=lib.llama_model_n_ctx_train(pointer),
        context_decided_by=fit.decided_by,
        context_note=fit.note,
        chat_template=chat_template(pointer),
        memory_kind=memory_kind,
        can_cut=memory_kind == "attention",
        device=plan.gpu if plan.layers else "CPU",
        gpu_layers=min(plan.layers, int(lib.llama_model_n_layer(pointer)) + 1),
        threads=threads,
        threads_batch=threads_batch,
        kv_type=plan.options.kv_type,
        kv_bytes_per_token=plan.kv_bytes_per_token,
        recommended=recommended_params(header),
        llama_cpp=llama_cpp.__version__,
    )


def default_threads(options: LoadOptions) -> tuple[int, int]:
    """Threads for decode and for prefill: decode is bound by memory, so one a physical core; prefill takes all."""
    physical, logical = _cores()
    return options.threads or physical, options.threads_batch or logical


def _cores() -> tuple[int, int]:
    """Cores, and threads that the cores run at once."""
    physical = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return physical, psutil.cpu_count() or physical


def _memory_kind(pointer: Any) -> Literal["attention", "sliding window", "recurrent", "hybrid"]:
    if lib.llama_model_is_hybrid(pointer):
        return "hybrid"
    if lib.llama_model_is_recurrent(pointer):
        return "recurrent"
    return "sliding window" if lib.llama_model_n_swa(pointer) > 0 else "attention"
