"""`python -m playground.engine.probe`: what llama.cpp knows without a loaded model, told by a process that then ends.

One question in msgpack comes on standard input, one answer goes to standard output. llama.cpp aborts the process on a
failed assertion: here that costs an answer and nothing else.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from playground.domain.errors import ModelFileError, PlaygroundError, Problem

_GPUS: Final = (1, 2)  # GGML_BACKEND_DEVICE_TYPE_GPU and _IGPU


class TokensWanted(msgspec.Struct, frozen=True, tag="tokens"):
    """How a model's tokenizer splits a text; only the vocabulary of the file is read."""

    path: str
    text: str
    special: bool = False
    """Whether names of control tokens in the text stand for them."""


class BuildWanted(msgspec.Struct, frozen=True, tag="build"):
    """What llama.cpp is here."""


class TokensFound(msgspec.Struct, frozen=True, tag="split"):
    """Ids, and the bytes each stands for; nothing that a model puts in front of a prompt is among them."""

    ids: tuple[int, ...]
    pieces: tuple[bytes, ...]
    name: str
    """What the model calls itself; may be empty."""


class Device(msgspec.Struct, frozen=True):
    """Something llama.cpp can compute on."""

    name: str
    gpu: bool
    free_bytes: int
    """0 where nobody tells."""
    total_bytes: int


class Build(msgspec.Struct, frozen=True, kw_only=True, tag="llama.cpp"):
    """Which llama.cpp this is and what it was built with."""

    package: str
    """Version of llama-cpp-python."""
    llama: str
    """Versions of llama.cpp's own libraries, as far as they tell."""
    ggml: str
    commit: str
    flags: tuple[str, ...]
    """Such as "AVX2" and "OPENMP", of what is on."""
    offloads: bool
    """Can put layers on a GPU."""
    devices: tuple[Device, ...]


class Unanswered(msgspec.Struct, frozen=True, tag="problem"):
    """Why there is no answer."""

    problem: Problem


Question = TokensWanted | BuildWanted
Answer = TokensFound | Build | Unanswered


def main() -> None:
    """Answer one question."""
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # else llama.cpp starts a debugger to say where it gave up
    question: Question = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Question)
    answer: Answer
    try:
        answer = _split(question) if isinstance(question, TokensWanted) else _build()
    except PlaygroundError as error:
        answer = Unanswered(error.problem)
    except (ImportError, OSError) as error:  # a package that is not there, or was built for another machine
        message = "llama-cpp-python cannot be loaded."
        hint = "Install it anew: pip install --force-reinstall --no-cache-dir llama-cpp-python."
        answer = Unanswered(Problem(kind="RunFailed", message=message, hint=hint, detail=str(error)))
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer))


def _split(question: TokensWanted) -> TokensFound:
    import llama_cpp.llama_cpp as lib

    from playground.engine.gguf_checks import check_model_file
    from playground.engine.libllama import initialise
    from playground.engine.model import Pieces

    header = check_model_file(Path(question.path))
    initialise()
    params = lib.llama_model_default_params()
    params.vocab_only = True
    model = lib.llama_model_load_from_file(os.fsencode(question.path), params)
    if not model:
        raise ModelFileError(
            f"llama.cpp cannot read the vocabulary of {Path(question.path).name}.",
            "The file may be damaged, or its tokenizer newer than the installed llama-cpp-python.",
        )
    vocabulary = lib.llama_model_get_vocab(model)
    data = question.text.encode()
    room = len(data) + 8
    found = (lib.llama_token * room)()
    count = lib.llama_tokenize(vocabulary, data, len(data), found, room, False, question.special)
    if count < 0:
        room = -count
        found = (lib.llama_token * room)()
        count = lib.llama_tokenize(vocabulary, data, len(data), found, room, False, question.special)
    pieces = Pieces(vocabulary, frozenset())
    ids = tuple(found[:count])
    return TokensFound(ids, tuple(pieces[token][0] for token in ids), header.name)


def _build() -> Build:
    import llama_cpp
    import llama_cpp.llama_cpp as lib

    from playground.engine.libllama import initialise

    initialise()
    library: Any = lib._lib
    info = lib.llama_print_system_info().decode("utf-8", "replace")
    parts = [part.strip() for group in info.split(":") for part in group.split("|")]
    return Build(
        package=llama_cpp.__version__,
        llama=_told(library, "llama_version"),
        ggml=_told(library, "ggml_version"),
        commit=_told(library, "ggml_commit"),
        flags=tuple(name.strip() for name, _, value in (part.partition("=") for part in parts) if _is_on(value)),
        offloads=bool(lib.llama_supports_gpu_offload()),
        devices=tuple(_devices(library)),
    )


def _is_on(value: str) -> bool:
    return value.strip() not in ("", "0")


def _told(library: Any, name: str) -> str:
    """What a function without arguments says; empty in builds that do not have it."""
    function = getattr(library, name, None)
    if function is None:
        return ""
    function.argtypes, function.restype = [], ctypes.c_char_p
    return bytes(function() or b"").decode("utf-8", "replace")


def _devices(library: Any) -> list[Device]:
    library.ggml_backend_dev_count.restype = ctypes.c_size_t
    library.ggml_backend_dev_get.argtypes, library.ggml_backend_dev_get.restype = [ctypes.c_size_t], ctypes.c_void_p
    library.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
    library.ggml_backend_dev_description.argtypes = [ctypes.c_void_p]
    library.ggml_backend_dev_description.restype = ctypes.c_char_p
    size = ctypes.POINTER(ctypes.c_size_t)
    library.ggml_backend_dev_memory.argtypes, library.ggml_backend_dev_memory.restype = (
        [ctypes.c_void_p, size, size],
        None,
    )
    found = []
    for index in range(library.ggml_backend_dev_count()):
        device = library.ggml_backend_dev_get(index)
        free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
        library.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
        name = bytes(library.ggml_backend_dev_description(device) or b"").decode("utf-8", "replace")
        gpu = library.ggml_backend_dev_type(device) in _GPUS
        found.append(Device(name, gpu, free.value, total.value))
    return found


if __name__ == "__main__":
    main()
