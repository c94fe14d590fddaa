"""The tiny models are loaded by llama.cpp as what they are meant to be, and decode."""

from __future__ import annotations

import ctypes

import llama_cpp
import numpy as np
import pytest

from tests.conftest import TinyModels
from tests.tiny_models import GENERATING, SLIDING_WINDOW

TEXT = "the water was about to go down.\n Ünïcode 漢".encode()


_silent = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)
"""Drops llama.cpp's log; it must live as long as the library may call it."""


@pytest.mark.parametrize("kind", GENERATING)
def test_a_tiny_model_decodes(tiny_models: TinyModels, kind: str) -> None:
    llama_cpp.llama_log_set(_silent, None)
    model = llama_cpp.llama_model_load_from_file(
        str(tiny_models(kind)).encode(), llama_cpp.llama_model_default_params()
    )
    assert model
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_threads, params.n_threads_batch = 256, 1, 1
    context = llama_cpp.llama_init_from_model(model, params)
    assert context
    try:
        vocab = llama_cpp.llama_model_get_vocab(model)
        size = llama_cpp.llama_vocab_n_tokens(vocab)
        ids = (llama_cpp.llama_token * 100)()
        count = llama_cpp.llama_tokenize(vocab, TEXT, len(TEXT), ids, 100, False, True)
        pieces = b"".join(_piece(vocab, ids[index]) for index in range(count))
        assert pieces.strip() == TEXT
        assert llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(ids, count)) == 0
        logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), shape=(size,))
        assert np.isfinite(logits).all()
        assert 1.0 < logits.std() < 4.0
        assert llama_cpp.llama_model_is_recurrent(model) == (kind == "recurrent")
        assert llama_cpp.llama_model_is_hybrid(model) == (kind == "hybrid")
        assert llama_cpp.llama_model_n_swa(model) == (SLIDING_WINDOW if kind == "sliding window" else 0)
        assert bool(llama_cpp.llama_model_chat_template(model, None)) == (kind == "chat")
    finally:
        llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(model)


def _piece(vocab: object, token: int) -> bytes:
    buffer = ctypes.create_string_buffer(64)
    length = llama_cpp.llama_token_to_piece(vocab, token, buffer, 64, 0, True)
    return buffer.raw[:length]
