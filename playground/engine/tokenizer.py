"""A model's vocabulary: from text to ids and back. It needs no weights."""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp.llama_cpp as lib

_NO_TEXT = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_UNKNOWN


class Pieces(dict[int, tuple[bytes, bool]]):
    """Token to its bytes and False; a control token to its name, e.g. b"<|im_end|>", and True. Filled as asked."""

    def __init__(self, vocab: Any, ends: frozenset[int]) -> None:
        super().__init__()
        self._vocab = vocab
        self._ends = ends
        self._buffer = ctypes.create_string_buffer(256)

    def __missing__(self, token: int) -> tuple[bytes, bool]:
        control = token in self._ends or bool(lib.llama_vocab_get_attr(self._vocab, token) & _NO_TEXT)
        found = self[token] = (self.read(token), control)
        return found

    def read(self, token: int) -> bytes:
        """The bytes, without keeping them."""
        count = lib.llama_token_to_piece(self._vocab, token, self._buffer, len(self._buffer), 0, True)
        if count < 0:
            self._buffer = ctypes.create_string_buffer(-count)
            count = lib.llama_token_to_piece(self._vocab, token, self._buffer, -count, 0, True)
        return self._buffer.raw[:count]


class Tokenizer:
    """Splits texts as one model does, and knows the template it wants conversations in."""

    def __init__(self, vocab: Any, template: str, name: str = "the model") -> None:
        """Use a vocabulary of llama.cpp, which stays its owner's.

        Args:
            vocab: llama.cpp's pointer to it.
            template: The model's chat template; empty for a base model.
            name: What errors call the model.
        """
        self.name = name
        self._vocab = vocab
        self.template = template
        self.pieces = Pieces(vocab, frozenset())

    @property
    def size(self) -> int:
        """Tokens there are."""
        return int(lib.llama_vocab_n_tokens(self._vocab))

    def tokenize(self, text: str, *, special: bool, begin: bool) -> list[int]:
        """Text to ids. `special` parses control tokens by name; `begin` adds what the model wants at the start."""
        data = text.encode("utf-8", errors="replace")
        room = len(data) + 8
        while True:
            ids = (lib.llama_token * room)()
            count = lib.llama_tokenize(self._vocab, data, len(data), ids, room, begin, special)
            if count >= 0:
                return list(ids[:count])
            room = -count

    def token_text(self, token: int) -> str:
        """Name of a token in the vocabulary, e.g. "<s>"; empty for none (-1)."""
        return "" if token < 0 else lib.llama_vocab_get_text(self._vocab, token).decode("utf-8", errors="replace")

    @property
    def begin_token(self) -> int:
        """Id of the beginning-of-text token, -1 when there is none."""
        return int(lib.llama_vocab_bos(self._vocab))

    @property
    def adds_begin(self) -> bool:
        """True when tokenising a whole prompt puts the beginning-of-text token in front."""
        return bool(lib.llama_vocab_get_add_bos(self._vocab))

    @property
    def end_token(self) -> int:
        """Id of the end-of-text token, -1 when there is none."""
        return int(lib.llama_vocab_eos(self._vocab))


def chat_template(pointer: Any) -> str:
    """The template of a model that llama.cpp has opened; empty when there is none."""
    text = lib.llama_model_chat_template(pointer, None)
    return text.decode("utf-8", errors="replace") if text else ""
