"""The few llama.cpp calls in use, typed: a context that decodes batches, its logits and its memory.

llama_cpp's ctypes bindings are untyped; this file is where that ends.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from playground.domain.errors import RunFailed
from playground.domain.models import LoadOptions
from playground.engine import llama_log

Logits = NDArray[np.float32]

KV_TYPES: Final = {"f16": lib.GGML_TYPE_F16, "q8_0": lib.GGML_TYPE_Q8_0, "q4_0": lib.GGML_TYPE_Q4_0}
FLASH: Final = {"auto": -1, "off": 0, "on": 1}

_GPUS: Final = (1, 2)  # GGML_BACKEND_DEVICE_TYPE_GPU and _IGPU

SCRATCH: Final = 2
"""Sequences beside those of the streams, for questions about a text: one for quick ones, one for long ones."""
_OUTPUT_BYTES: Final = 64 << 20
_MOST_OUTPUTS: Final = 128  # more at a time make a scored text hardly faster

DECODED: Final = 0
NO_ROOM: Final = 1
ABORTED: Final = 2

_initialised = False

# A function object of its own: as an address the result costs nothing to look at, as a typed pointer it does.
_get_logits: Final[Any] = ctypes.CFUNCTYPE(ctypes.c_void_p, lib.llama_context_p_ctypes, ctypes.c_int32)(
    ("llama_get_logits_ith", lib._lib)
)


def initialise() -> None:
    """Start llama.cpp once in this process."""
    global _initialised  # noqa: PLW0603 - llama.cpp's own state is global
    if not _initialised:
        llama_log.listen()
        lib.llama_backend_init()
        _initialised = True


def gpu_name() -> str:
    """The first GPU that this build of llama.cpp can put layers on; empty when there is none."""
    if not lib.llama_supports_gpu_offload():
        return ""
    library: Any = lib._lib
    library.ggml_backend_dev_count.restype = ctypes.c_size_t
    library.ggml_backend_dev_get.argtypes, library.ggml_backend_dev_get.restype = [ctypes.c_size_t], ctypes.c_void_p
    library.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
    library.ggml_backend_dev_description.argtypes = [ctypes.c_void_p]
    library.ggml_backend_dev_description.restype = ctypes.c_char_p
    for index in range(library.ggml_backend_dev_count()):
        device = library.ggml_backend_dev_get(index)
        if library.ggml_backend_dev_type(device) in _GPUS:
            return str(library.ggml_backend_dev_description(device).decode("utf-8", errors="replace"))
    return "GPU"


def load_model(path: str, *, gpu_layers: int, mmap: bool, progress: Callable[[float], bool]) -> Any:
    """Pointer to a loaded model, or None when llama.cpp refuses it.

    `progress` gets 0.0 to 1.0; False from it ends the load.
    """
    params = lib.llama_model_default_params()
    params.n_gpu_layers = gpu_layers
    if not mmap:
        params.load_mode = lib.LLAMA_LOAD_MODE_NONE

    @lib.llama_progress_callback  # type: ignore[untyped-decorator]
    def report(fraction: float, _user_data: Any) -> bool:
        return progress(fraction)

    params.progress_callback = report
    return lib.llama_model_load_from_file(os.fsencode(path), params)


class AbortFlag:
    """A byte that llama.cpp reads between two nodes of its graph; raised, it ends the running decode.

    llama.cpp wants a C function `bool f(void *)`. libc's strlen is one: 0 for an empty string, else non-zero. A Python
    callback would take the interpreter lock once a node, about a thousand times a token.
    """

    def __init__(self) -> None:
        self._byte = ctypes.create_string_buffer(2)
        libc: Any = ctypes.cdll.msvcrt if sys.platform == "win32" else ctypes.CDLL(None)
        self.function = ctypes.cast(libc.strlen, lib.ggml_abort_callback)
        self.address = ctypes.addressof(self._byte)

    def raise_(self) -> None:
        """End the decode that is running; safe from any thread."""
        self._byte[0] = b"\x01"

    def lower(self) -> None:
        """Let decodes run again."""
        self._byte[0] = b"\x00"


def pointer_to(array: NDArray[Any], kind: Any) -> Any:
    """A ctypes pointer of type `kind` to the data of an array, which must be kept alive."""
    return array.ctypes.data_as(ctypes.POINTER(kind))


class Batch:
    """Tokens to decode together, each with its position, its sequence and whether its logits are wanted."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.size = 0
        self._tokens = np.zeros(capacity, np.int32)
        self._positions = np.zeros(capacity, np.int32)
        self._sequences = np.zeros(capacity, np.int32)
        self._counts = np.ones(capacity, np.int32)
        self._wanted = np.zeros(capacity, np.int8)
        base, step = self._sequences.ctypes.data, self._sequences.itemsize
        self._pointers = np.arange(base, base + step * capacity, step, dtype=np.uint64)
        self.struct = lib.llama_batch()
        self.struct.token = pointer_to(self._tokens, lib.llama_token)
        self.struct.pos = pointer_to(self._positions, lib.llama_pos)
        self.struct.n_seq_id = pointer_to(self._counts, ctypes.c_int32)
        self.struct.seq_id = pointer_to(self._pointers, ctypes.POINTER(lib.llama_seq_id))
        self.struct.logits = pointer_to(self._wanted, ctypes.c_int8)

    def clear(self) -> None:
        """Forget all rows."""
        self.size = 0

    def add(self, tokens: Sequence[int], position: int, sequence: int, *, want_last: bool) -> int:
        """Append a run of tokens; returns the row of the last one, where its logits will be found."""
        start, end = self.size, self.size + len(tokens)
        if end - start == 1:  # the case of every decode step, without numpy's overhead for slices
            self._tokens[start], self._positions[start] = tokens[0], position
            self._sequences[start], self._wanted[start] = sequence, want_last
            self.size = end
            return start
        self._tokens[start:end] = tokens
        self._positions[start:end] = np.arange(position, position + len(tokens))
        self._sequences[start:end] = sequence
        self._wanted[start:end] = 0
        self._wanted[end - 1] = want_last
        self.size = end
        return end - 1

    def want(self, start: int) -> None:
        """Ask for the logits of every row from `start` on."""
        self._wanted[start : self.size] = 1


class Context:
    """A llama.cpp context holding several sequences in one unified KV cache."""

    def __init__(self, model: Any, *, n_ctx: int, threads: int, threads_batch: int, options: LoadOptions) -> None:
        params = lib.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = params.n_ubatch = options.batch
        params.n_seq_max = options.streams + SCRATCH
        params.n_threads = threads
        params.n_threads_batch = threads_batch
        params.flash_attn_type = FLASH["on" if options.kv_type != "f16" else options.flash_attention]
        params.type_k = params.type_v = KV_TYPES[options.kv_type]
        params.kv_unified = True
        params.no_perf = True
        self.n_vocab: int = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
        # Streams want the logits of one row each, a scored text those of all its rows. Room for a whole batch would
        # cost n_batch x n_vocab floats, so a text is scored in smaller pieces.
        scored = min(_MOST_OUTPUTS, options.batch, _OUTPUT_BYTES // (4 * self.n_vocab))
        self.most_outputs: int = max(params.n_seq_max, scored)
        params.n_outputs_max = self.most_outputs
        self.abort = AbortFlag()
        self._views: dict[int, Logits] = {}
        self.pointer = lib.llama_init_from_model(model, params)
        if not self.pointer:
            raise llama_log.refusal(
                RunFailed(
                    f"llama.cpp cannot make a context of {n_ctx:,} tokens for this model.",
                    "Try the default context, KV cache type and flash attention.",
                ),
                f"A context of {n_ctx:,} tokens does not fit in memory.",
                "Choose a smaller context, or a smaller KV cache type (q8_0, q4_0).",
            )
        lib.llama_set_abort_callback(self.pointer, self.abort.function, self.abort.address)
        self.memory = lib.llama_get_memory(self.pointer)
        self.n_ctx: int = lib.llama_n_ctx(self.pointer)

    def decode(self, batch: Batch) -> int:
        """Run the model over a batch: DECODED, NO_ROOM, ABORTED, or a negative number for a failure."""
        batch.struct.n_tokens = batch.size
        return int(lib.llama_decode(self.pointer, batch.struct))

    def logits(self, row: int) -> Logits:
        """Raw logits of one row of the last batch, shape (n_vocab,); a view, valid until the next decode."""
        address = _get_logits(self.pointer, row)
        assert address, "no logits were asked for in this row"
        view = self._views.get(address)
        if view is None:
            buffer: Any = (ctypes.c_float * self.n_vocab).from_address(address)
            view = self._views[address] = np.ctypeslib.as_array(buffer)
        return view

    def set_threads(self, threads: int, threads_batch: int) -> None:
        """Use as many threads for decode and for prefill from the next batch on."""
        lib.llama_set_n_threads(self.pointer, threads, threads_batch)

    @property
    def threads(self) -> tuple[int, int]:
        """Threads for decode and for prefill."""
        return int(lib.llama_n_threads(self.pointer)), int(lib.llama_n_threads_batch(self.pointer))

    def remove(self, sequence: int, start: int) -> bool:
        """Drop a sequence's cells from `start` on; False where this kind of memory cannot."""
        return bool(lib.llama_memory_seq_rm(self.memory, sequence, start, -1))

    def copy(self, source: int, target: int, end: int) -> None:
        """Let `target` share the first `end` positions of `source`; -1 for all of them."""
        lib.llama_memory_seq_cp(self.memory, source, target, -1, end)

    def first_position(self, sequence: int) -> int:
        """Smallest position still held for a sequence; -1 when it is empty."""
        return int(lib.llama_memory_seq_pos_min(self.memory, sequence))

    def free(self) -> None:
        """Give the memory back."""
        if self.pointer:
            lib.llama_free(self.pointer)
            self.pointer = None
