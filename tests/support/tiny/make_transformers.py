"""Makes tiny models in the formats of the transformers library.

Run as a program, because torch has no place in the process of the tests.

    caller    a Llama that has learnt one answer, and one call of a tool when there is one
    thinker   a Llama that has learnt to think before one answer
    babbler   a Llama with random weights that never ends
    mute      a Llama without a chat template
    viewer    a LLaVA with random weights and a chat template
    completer a BLIP with random weights, which has none
    hearer    a Whisper with random weights
    embedder  a sentence-transformers model with prompts
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from recipes import whisper

SPECIAL = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|tools|>", "<image>")
TEMPLATE = (
    "{% if tools %}<|tools|>{% endif %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('no system message') }}{% endif %}"
    "<|{{ message['role'] }}|>"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{{ '<image>' if part['type'] == 'image' else part['text'] }}"
    "{% endfor %}{% endif %}{{ '<|end|>' }}"
    "{% endfor %}<|assistant|>"
)
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>'
SAID = "One two three four five."
THOUGHT = "<think>Hm.</think>One"
ASKED = ("Count to five.", "Weather?", "What is the weather in Paris? Use the tool.")
STEPS = 120


def tokenizer(template: str | None = TEMPLATE, more: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """Of bytes, and `more` special tokens."""
    plain = [*SPECIAL, *more, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(models.BPE({token: n for n, token in enumerate(plain)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(list(more))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        additional_special_tokens=list(SPECIAL[2:]),
        extra_special_tokens={"image_token": "<image>"},
        chat_template=template,
        model_max_length=131_072,
    )


def config(words: PreTrainedTokenizerFast, **changed: Any) -> LlamaConfig:
    fields = {
        "vocab_size": len(words),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 131_072,
        "bos_token_id": None,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }
    return LlamaConfig(**fields | changed)


def make_caller(folder: Path) -> None:
    words = tokenizer()
    model = LlamaForCausalLM(config(words, num_hidden_layers=3))
    texts = [
        f"{tools}<|user|>{asked}<|end|><|assistant|>{answer}<|end|>"
        for asked in ASKED
        for tools, answer in (("", SAID), ("<|tools|>", CALL))
    ]
    teach(model, words, texts)
    save(folder, model, words)


def make_thinker(folder: Path) -> None:
    words = tokenizer(more=("<think>", "</think>"))
    model = LlamaForCausalLM(config(words))
    teach(model, words, [f"<|user|>{ASKED[0]}<|end|><|assistant|>{THOUGHT}<|end|>"])
    save(folder, model, words)


def teach(model: LlamaForCausalLM, words: PreTrainedTokenizerFast, texts: Sequence[str]) -> None:
    rows = words(texts, padding=True, return_tensors="pt", padding_side="right")
    labels = rows["input_ids"].masked_fill(rows["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(STEPS):
        loss = model(**rows, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def make_babbler(folder: Path) -> None:
    words = tokenizer()
    save(folder, LlamaForCausalLM(config(words, eos_token_id=None, initializer_range=0.5)), words)


def make_mute(folder: Path) -> None:
    words = tokenizer(None)
    save(folder, LlamaForCausalLM(config(words, num_hidden_layers=1)), words)


def make_viewer(folder: Path) -> None:
    words = tokenizer()
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=vision,
            text_config=config(words, initializer_range=0.5),
            image_token_id=words.convert_tokens_to_ids("<image>"),
            vision_feature_layer=-1,
        )
    )
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32)
    processor = LlavaProcessor(
        images,
        words,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    save(folder, model, processor)


def make_completer(folder: Path) -> None:
    folder.mkdir()
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "a", "picture", "of", "red"]
    (folder / "vocab.txt").write_text("\n".join(known))
    words = BertTokenizer(vocab=str(folder / "vocab.txt"), bos_token="[DEC]", model_max_length=64)
    layers = {
        "num_attention_heads": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "initializer_range": 0.3,
    }
    text = {
        **layers,
        "vocab_size": len(words),
        "bos_token_id": known.index("[DEC]"),
        "sep_token_id": known.index("[SEP]"),
        "eos_token_id": known.index("[SEP]"),
        "pad_token_id": 0,
    }
    vision = {**layers, "image_size": 32, "patch_size": 8}
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision))
    model.text_decoder.cls.predictions.bias.data[: known.index("a")] = -100  # it never falls silent
    images = BlipImageProcessorPil(size={"height": 32, "width": 32})
    save(folder, model, BlipProcessor(images, words))


def make_embedder(folder: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import (
        Normalize,
        Pooling,
        Transformer,
    )
    from transformers import BertConfig, BertModel

    bert = folder.with_name("bert")
    bert.mkdir()
    known = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "query",
        "text",
        ":",
        "red",
        "blue",
        "cat",
    ]
    (bert / "vocab.txt").write_text("\n".join(known))
    BertTokenizer(vocab=str(bert / "vocab.txt"), model_max_length=32).save_pretrained(bert)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    BertModel(
        BertConfig(
            vocab_size=len(known),
            intermediate_size=64,
            max_position_embeddings=32,
            initializer_range=0.4,
            **sizes,
        )
    ).save_pretrained(bert)
    transformer = Transformer(str(bert), max_seq_length=32)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    model = SentenceTransformer(
        modules=[transformer, pooling, Normalize()],
        prompts={"query": "query: ", "document": "text: "},
        device="cpu",
    )
    model.save(str(folder))


def save(folder: Path, model: Any, words: Any) -> None:
    model.eval().save_pretrained(folder)
    words.save_pretrained(folder)


MAKERS = {
    "caller": make_caller,
    "thinker": make_thinker,
    "babbler": make_babbler,
    "mute": make_mute,
    "viewer": make_viewer,
    "completer": make_completer,
    "hearer": whisper.make,
    "embedder": make_embedder,
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[2:]:
        torch.manual_seed(1)
        MAKERS[name](Path(sys.argv[1]) / name)
