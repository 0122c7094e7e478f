"""Tiny models with random weights in GGUF files, which the real llama.cpp loads in an instant.

They write letters and blanks without end: what is for the program is never the likeliest token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

TEMPLATE = (
    "{% if tools %}<|system|>{{ tools | tojson }}<|end|>{% endif %}"
    "{% for message in messages %}<|{{ message['role'] }}|>"
    "{% for call in message['tool_calls'] or [] %}<tool_call>"
    '{"name": "{{ call["function"]["name"] }}", '
    '"arguments": {{ call["function"]["arguments"] | tojson }}}'
    "</tool_call>{% endfor %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %}"
    "<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CONTROLS = ("<unk>", "<s>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
LETTERS = ("▁", *"abcdefghijklmnopqrstuvwxyz")
LAYERS, WIDTH, INNER, HEADS = 2, 64, 128, 4
CONTEXT = 512
IMAGE, PATCH = 32, 8
"""Sides in pixels of what it sees, and of the squares that become tokens."""
PATCHES = (IMAGE // PATCH) ** 2
CONSTANT = 8.0
"""A number that each token's state begins with, so that the last layer can prefer some tokens."""


def write_model(
    path: Path,
    *,
    template: str | None = TEMPLATE,
    context: int = CONTEXT,
    constant: float = CONSTANT,
) -> Path:
    """Write a Llama that reads all texts and writes small letters; return its path.

    Without the `constant` its vectors differ more, and it writes anything.
    """
    writer = gguf.GGUFWriter(path, "llama")
    _add_sizes(writer, context)
    tokens = _add_tokens(writer)
    if template is not None:
        writer.add_chat_template(template)
    _add_weights(writer, tokens, constant)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_sizes(writer: gguf.GGUFWriter, context: int) -> None:
    writer.add_name("tiny")
    writer.add_context_length(context)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)


def _add_tokens(writer: gguf.GGUFWriter) -> int:
    """Add the vocabulary: what is for the program, all bytes, then letters. Return its size."""
    kinds = gguf.TokenType
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    tokens = [*CONTROLS, *bytes_, *LETTERS]
    types = [kinds.UNKNOWN, *[kinds.CONTROL] * (len(CONTROLS) - 1)]
    types += [*[kinds.BYTE] * len(bytes_), *[kinds.NORMAL] * len(LETTERS)]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_vocab_size(len(tokens))
    return len(tokens)


def _add_weights(writer: gguf.GGUFWriter, tokens: int, constant: float) -> None:
    random = np.random.default_rng(1)

    def matrix(rows: int, columns: int) -> Any:
        return random.normal(0, 0.08, (rows, columns)).astype(np.float32)

    embedding = matrix(tokens, WIDTH)
    embedding[:, 0] += constant
    output = matrix(tokens, WIDTH)
    output[:, 0] = -1
    output[tokens - len(LETTERS) :, 0] = 1
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", matrix(WIDTH, WIDTH))
        for name in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", matrix(INNER, WIDTH))
        writer.add_tensor(f"blk.{layer}.ffn_down.weight", matrix(WIDTH, INNER))


def write_projector(path: Path) -> Path:
    """Write the vision side of a LLaVA for the models of `write_model`; return its path."""
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("mlp")
    writer.add_vision_use_gelu(True)
    writer.add_vision_image_size(IMAGE)
    writer.add_vision_patch_size(PATCH)
    writer.add_vision_embedding_length(WIDTH)
    writer.add_vision_feed_forward_length(INNER)
    writer.add_vision_block_count(LAYERS)
    writer.add_vision_head_count(HEADS)
    writer.add_vision_attention_layernorm_eps(1e-5)
    writer.add_vision_projection_dim(WIDTH)
    writer.add_vision_image_mean([0.5, 0.5, 0.5])
    writer.add_vision_image_std([0.5, 0.5, 0.5])
    _add_vision_weights(writer, np.random.default_rng(2))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vision_weights(writer: gguf.GGUFWriter, random: np.random.Generator) -> None:
    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, random.normal(0, 0.08, shape).astype(np.float32))

    add("v.class_embd", WIDTH)
    add("v.patch_embd.weight", WIDTH, 3, PATCH, PATCH)
    add("v.position_embd.weight", PATCHES + 1, WIDTH)
    for name in ("v.pre_ln", "mm.0", "mm.2"):
        add(f"{name}.weight", *((WIDTH,) if name == "v.pre_ln" else (WIDTH, WIDTH)))
        add(f"{name}.bias", WIDTH)
    for layer in range(LAYERS):
        block = f"v.blk.{layer}"
        for name, *shape in (
            *((f"attn_{part}", WIDTH, WIDTH) for part in ("q", "k", "v", "out")),
            *((f"ln{number}", WIDTH) for number in (1, 2)),
            ("ffn_up", INNER, WIDTH),
            ("ffn_down", WIDTH, INNER),
        ):
            add(f"{block}.{name}.weight", *shape)
            add(f"{block}.{name}.bias", shape[0])
