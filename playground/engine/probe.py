"""`python -m playground.engine.probe`: what llama.cpp knows without a loaded model, told by a process that then ends.

One question in msgpack comes on standard input, one answer goes to standard output. With `--stay` they go on, each
behind its length (`LENGTH`), until standard input ends, and vocabularies that were read are kept. llama.cpp aborts the
process on a failed assertion: here that costs an answer and nothing else.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from playground.domain.errors import ModelFileError, PlaygroundError, Problem
from playground.domain.messages import Prompt

if TYPE_CHECKING:
    from playground.engine.tokenizer import Tokenizer

LENGTH: Final = struct.Struct("<I")
"""Bytes of the question or answer behind it."""
_GPUS: Final = (1, 2)  # GGML_BACKEND_DEVICE_TYPE_GPU and _IGPU


class TokensWanted(msgspec.Struct, frozen=True, tag="tokens"):
    """How a model's tokenizer splits a text; only the vocabulary of the file is read."""

    path: str
    text: str
    special: bool = False
    """Whether names of control tokens in the text stand for them."""


class PromptsWanted(msgspec.Struct, frozen=True, tag="prompts"):
    """How many tokens prompts have as a model gets them: in its chat template, with all that this adds."""

    path: str
    prompts: tuple[Prompt, ...]


class BuildWanted(msgspec.Struct, frozen=True, tag="build"):
    """What llama.cpp is here."""


class TokensFound(msgspec.Struct, frozen=True, tag="split"):
    """Ids, and the bytes each stands for; nothing that a model puts in front of a prompt is among them."""

    ids: tuple[int, ...]
    pieces: tuple[bytes, ...]
    name: str
    """What the model calls itself; may be empty."""
    special: tuple[int, ...] = ()
    """Those of the ids that are control tokens, each once; their bytes are their names."""


class PromptsCounted(msgspec.Struct, frozen=True, tag="counted"):
    """Tokens of each prompt."""

    tokens: tuple[int, ...]


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


Question = TokensWanted | PromptsWanted | BuildWanted
Answer = TokensFound | PromptsCounted | Build | Unanswered


def main() -> None:
    """Answer one question, or with `--stay` all that come."""
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # else llama.cpp starts a debugger to say where it gave up
    if "--stay" in sys.argv[1:]:
        _stay()
        return
    question: Question = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Question)
    sys.stdout.buffer.write(msgspec.msgpack.encode(_answer(question, {})))


def _stay() -> None:
    known: dict[str, _Vocabulary] = {}
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        question: Question = msgspec.msgpack.decode(source.read(LENGTH.unpack(head)[0]), type=Question)
        body = msgspec.msgpack.encode(_answer(question, known))
        sink.write(LENGTH.pack(len(body)) + body)
        sink.flush()


def _answer(question: Question, known: dict[str, _Vocabulary]) -> Answer:
    try:
        if isinstance(question, BuildWanted):
            return _build()
        if question.path not in known:
            known[question.path] = _Vocabulary(question.path)
        if isinstance(question, PromptsWanted):
            return known[question.path].count(question.prompts)
        return known[question.path].split(question.text, special=question.special)
    except PlaygroundError as error:
        return Unanswered(error.problem)
    except (ImportError, OSError) as error:  # a package that is not there, or was built for another machine
        message = "llama-cpp-python cannot be loaded."
        hint = "Install it anew: pip install --force-reinstall --no-cache-dir llama-cpp-python."
        return Unanswered(Problem(kind="RunFailed", message=message, hint=hint, detail=str(error)))


class _Vocabulary:
    """The vocabulary of a model file. Raises ModelFileError when it cannot be read."""

    def __init__(self, path: str) -> None:
        import llama_cpp.llama_cpp as lib

        from playground.engine.gguf_checks import check_model_file
        from playground.engine.libllama import initialise
        from playground.engine.tokenizer import Tokenizer, chat_template

        header = check_model_file(Path(path))
        initialise()
        params = lib.llama_model_default_params()
        params.vocab_only = True
        self._model = lib.llama_model_load_from_file(os.fsencode(path), params)
        if not self._model:
            raise ModelFileError(
                f"llama.cpp cannot read the vocabulary of {Path(path).name}.",
                "The file may be damaged, or its tokenizer newer than the installed llama-cpp-python.",
            )
        self._tokenizer: Tokenizer = Tokenizer(
            lib.llama_model_get_vocab(self._model), chat_template(self._model), Path(path).stem
        )
        self._name = header.name

    def split(self, text: str, *, special: bool) -> TokensFound:
        """The tokens of a text."""
        pieces, ids = self._tokenizer.pieces, tuple(self._tokenizer.tokenize(text, special=special, begin=False))
        control = tuple(token for token in set(ids) if pieces[token][1])
        return TokensFound(ids, tuple(pieces[token][0] for token in ids), self._name, control)

    def count(self, prompts: Sequence[Prompt]) -> PromptsCounted:
        """The tokens of each. Raises TemplateError when the template refuses one."""
        from playground.engine.prompt import build_prompt

        return PromptsCounted(tuple(len(build_prompt(self._tokenizer, prompt).ids) for prompt in prompts))


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
