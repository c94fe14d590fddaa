"""Writes tiny GGUF models with random weights that llama.cpp really loads: one of each kind that behaves differently.

They talk nonsense, quickly, and are a few hundred kilobytes each. The weights are drawn from a fixed seed, so a kind is
the same file every time.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np
from gguf import TokenType

CONTEXT: Final = 2048
WIDTH: Final = 64
HEADS: Final = 2
KV_HEADS: Final = 1
HEAD_WIDTH: Final = 32
FEED_FORWARD: Final = 128
SLIDING_WINDOW: Final = 32

_TEXT: Final = (
    "the of and to in is that it was for on are with as his they be at one have this from or had by word but what some "
    "we can out other were all there when up use your how said an each she which do their time if will way about many "
    "then them write would like so these her long make thing see him two has look more day could go come did number "
    "sound no most people my over know water than call first who may down side been now find"
)

WORDS: Final = tuple(_TEXT.split())

NO_SYSTEM_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""ChatML whose author wants no system message, as Gemma's do."""


def write_tiny_model(kind: str, path: Path) -> Path:
    """Write the model of a kind in `KINDS` to `path` and return it."""
    architecture, build = KINDS[kind]
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(f"Tiny {kind}")
    build(_Model(writer, zlib.crc32(kind.encode())))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class _Model:
    """A model that is being written."""

    def __init__(self, writer: Any, seed: int) -> None:
        self.writer = writer
        self._random = np.random.default_rng(seed)
        self.vocab_size = 0

    def weight(self, name: str, *shape: int, scale: float = 1.0) -> None:
        """A random matrix, rows first, that keeps the variance of what it is multiplied with, times `scale`."""
        values = self._random.standard_normal(shape) * scale / np.sqrt(shape[-1])
        self.writer.add_tensor(name, values.astype(np.float32))

    def fill(self, name: str, *shape: int, value: float = 1.0) -> None:
        """A tensor of one value."""
        self.writer.add_tensor(name, np.full(shape, value, dtype=np.float32))

    def spm_vocab(self) -> None:
        """A SentencePiece vocabulary with byte fallback, as Llama 2 and Gemma have."""
        tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
        types = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL, *[TokenType.BYTE] * 256]
        pieces: dict[str, None] = {}
        for word in WORDS:
            pieces |= dict.fromkeys(f"▁{word}"[:end] for end in range(2, len(word) + 2))
        pieces |= dict.fromkeys("▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"()-\n")
        writer = self.writer
        writer.add_tokenizer_model("llama")
        writer.add_token_list(tokens + list(pieces))
        writer.add_token_scores([0.0] * len(tokens) + [-float(rank) for rank in range(len(pieces))])
        writer.add_token_types(types + [TokenType.NORMAL] * len(pieces))
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)
        writer.add_add_bos_token(True)
        self.vocab_size = len(tokens) + len(pieces)

    def bpe_vocab(self, size: int = 0) -> None:
        """A byte-level BPE vocabulary, as GPT-2, Llama 3 and Qwen have, with ChatML's control tokens.

        With a `size`, tokens that no text is split into fill it up.
        """
        letters = _byte_letters()
        merges: dict[tuple[str, str], None] = {}
        for word in WORDS:
            merges |= {(f"Ġ{word}"[:end], f"Ġ{word}"[end]): None for end in range(1, len(word) + 1)}
        special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        tokens = [*special, *letters, *(left + right for left, right in merges)]
        tokens += [f"filler{number}" for number in range(size - len(tokens))]
        writer = self.writer
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list(tokens)
        writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (len(tokens) - 3))
        writer.add_token_merges([f"{left} {right}" for left, right in merges])
        writer.add_bos_token_id(0)
        writer.add_eos_token_id(2)
        writer.add_add_bos_token(False)
        self.vocab_size = len(tokens)

    def shape(self, layers: int, kv_heads: int | list[int] = KV_HEADS) -> None:
        """The numbers every attention model states."""
        writer = self.writer
        writer.add_context_length(CONTEXT)
        writer.add_embedding_length(WIDTH)
        writer.add_block_count(layers)
        writer.add_feed_forward_length(FEED_FORWARD)
        writer.add_head_count(HEADS)
        writer.add_head_count_kv(kv_heads)
        writer.add_key_length(HEAD_WIDTH)
        writer.add_value_length(HEAD_WIDTH)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_dimension_count(HEAD_WIDTH)
        writer.add_rope_freq_base(10000.0)
        writer.add_vocab_size(self.vocab_size)
        writer.add_file_type(gguf.LlamaFileType.ALL_F32)

    def embeddings(self, *, output: bool = True, norm: str = "output_norm") -> None:
        """Tensors outside the layers; without `output` the input embedding is used again."""
        self.weight("token_embd.weight", self.vocab_size, WIDTH, scale=2.0)
        self.fill(f"{norm}.weight", WIDTH)
        if output:
            # A standard deviation of two in the logits: some tokens are likely, most are not.
            self.weight("output.weight", self.vocab_size, WIDTH, scale=2.0)

    def attention(self, layer: int, *, qk_norm: bool = False) -> None:
        """One layer's attention."""
        self.weight(f"blk.{layer}.attn_q.weight", HEADS * HEAD_WIDTH, WIDTH)
        self.weight(f"blk.{layer}.attn_k.weight", KV_HEADS * HEAD_WIDTH, WIDTH)
        self.weight(f"blk.{layer}.attn_v.weight", KV_HEADS * HEAD_WIDTH, WIDTH)
        self.weight(f"blk.{layer}.attn_output.weight", WIDTH, HEADS * HEAD_WIDTH)
        if qk_norm:
            self.fill(f"blk.{layer}.attn_q_norm.weight", HEAD_WIDTH)
            self.fill(f"blk.{layer}.attn_k_norm.weight", HEAD_WIDTH)

    def feed_forward(self, layer: int) -> None:
        """One layer's norms and gated feed-forward network."""
        self.fill(f"blk.{layer}.attn_norm.weight", WIDTH)
        self.fill(f"blk.{layer}.ffn_norm.weight", WIDTH)
        self.weight(f"blk.{layer}.ffn_gate.weight", FEED_FORWARD, WIDTH)
        self.weight(f"blk.{layer}.ffn_up.weight", FEED_FORWARD, WIDTH)
        self.weight(f"blk.{layer}.ffn_down.weight", WIDTH, FEED_FORWARD)


def _byte_letters() -> list[str]:
    """The printable letter that stands for each byte in a byte-level vocabulary."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = (byte for byte in range(256) if byte not in plain)
    table = {byte: chr(byte) for byte in plain} | {byte: chr(256 + rank) for rank, byte in enumerate(others)}
    return [table[byte] for byte in range(256)]


def _llama(model: _Model) -> None:
    model.shape(layers=2)
    model.embeddings()
    for layer in range(2):
        model.attention(layer)
        model.feed_forward(layer)


def _base(model: _Model) -> None:
    model.spm_vocab()
    _llama(model)


def _chat(model: _Model) -> None:
    model.bpe_vocab()
    model.writer.add_chat_template(NO_SYSTEM_TEMPLATE)
    model.writer.add_sampling_temp(0.7)
    model.writer.add_sampling_top_k(20)
    _llama(model)


def _large_vocabulary(model: _Model) -> None:
    model.bpe_vocab(262_144)
    _llama(model)


def _sliding_window(model: _Model) -> None:
    model.spm_vocab()
    model.shape(layers=6)
    model.writer.add_sliding_window(SLIDING_WINDOW)
    model.embeddings(output=False)
    for layer in range(6):
        model.attention(layer, qk_norm=True)
        model.feed_forward(layer)
        model.fill(f"blk.{layer}.post_attention_norm.weight", WIDTH)
        model.fill(f"blk.{layer}.post_ffw_norm.weight", WIDTH)


def _recurrent(model: _Model) -> None:
    inner, state, rank, kernel = 2 * WIDTH, 16, 4, 4
    model.bpe_vocab()
    writer = model.writer
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(2)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    model.embeddings()
    for layer in range(2):
        model.fill(f"blk.{layer}.attn_norm.weight", WIDTH)
        model.weight(f"blk.{layer}.ssm_in.weight", 2 * inner, WIDTH)
        model.weight(f"blk.{layer}.ssm_conv1d.weight", inner, kernel)
        model.fill(f"blk.{layer}.ssm_conv1d.bias", inner, value=0.0)
        model.weight(f"blk.{layer}.ssm_x.weight", rank + 2 * state, inner)
        model.weight(f"blk.{layer}.ssm_dt.weight", inner, rank)
        model.fill(f"blk.{layer}.ssm_dt.bias", inner, value=-2.0)
        model.fill(f"blk.{layer}.ssm_a", inner, state, value=-1.0)
        model.fill(f"blk.{layer}.ssm_d", inner)
        model.weight(f"blk.{layer}.ssm_out.weight", WIDTH, inner)


def _hybrid(model: _Model) -> None:
    kernel = 3
    model.bpe_vocab()
    model.shape(layers=2, kv_heads=[0, KV_HEADS])
    model.writer.add_shortconv_l_cache(kernel)
    model.embeddings(output=False, norm="token_embd_norm")
    for layer in range(2):
        model.feed_forward(layer)
    model.weight("blk.0.shortconv.conv.weight", WIDTH, kernel)
    model.weight("blk.0.shortconv.in_proj.weight", 3 * WIDTH, WIDTH)
    model.weight("blk.0.shortconv.out_proj.weight", WIDTH, WIDTH)
    model.attention(1, qk_norm=True)


def _embedding(model: _Model) -> None:
    model.spm_vocab()
    model.shape(layers=1)
    model.writer.add_pooling_type(gguf.PoolingType.MEAN)
    model.embeddings(output=False)


def _projector(model: _Model) -> None:
    model.writer.add_type("mmproj")
    model.fill("v.patch_embd.weight", 8, 8)


KINDS: Final[dict[str, tuple[str, Callable[[_Model], None]]]] = {
    "base": ("llama", _base),
    "chat": ("llama", _chat),
    "sliding window": ("gemma3", _sliding_window),
    "recurrent": ("mamba", _recurrent),
    "hybrid": ("lfm2", _hybrid),
    "large vocabulary": ("llama", _large_vocabulary),
    "embedding": ("bert", _embedding),
    "projector": ("clip", _projector),
}
"""Kind to its architecture: the first five generate text, the last two are headers only, to be refused.

The one between them has as many tokens as the largest vocabularies have, and is no longer tiny: 130 MB."""

GENERATING: Final = ("base", "chat", "sliding window", "recurrent", "hybrid")
