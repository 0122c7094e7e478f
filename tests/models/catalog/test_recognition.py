"""What a folder or a repository holds, by its files and its config."""

from __future__ import annotations

import json

import pytest

from models.catalog.recognition import recognise


def config(architecture: str, **more: object) -> str:
    return json.dumps({"architectures": [architecture], **more})


@pytest.mark.parametrize(
    ("files", "text", "expected"),
    [
        (["x-Q4.GGUF", "README.md"], "", ("llamacpp", "chat")),
        (["x.gguf", "config.json"], config("LlamaForCausalLM"), ("llamacpp", "chat")),
        (["model_index.json", "unet/x.safetensors"], "", ("diffusers", "image")),
        (["modules.json", "config.json"], config("BertModel"), ("sentence_transformers", "embed")),
        (["config.json"], config("BertModel"), ("sentence_transformers", "embed")),
        (["config.json"], config("Qwen2ForCausalLM"), ("transformers", "chat")),
        (["config.json"], config("GPT2LMHeadModel"), ("transformers", "chat")),
        (
            ["config.json"],
            config("WhisperForConditionalGeneration"),
            ("transformers", "transcribe"),
        ),
        (
            ["config.json"],
            config("LlavaForConditionalGeneration", vision_config={}),
            ("transformers", "caption"),
        ),
        (["config.json"], config("BertForSequenceClassification"), ("cross_encoder", "rerank")),
        (
            ["model.bin", "vocabulary.json", "config.json"],
            json.dumps({"suppress_ids": [], "lang_ids": [1]}),
            ("faster_whisper", "transcribe"),
        ),
        (
            ["model_file.pth", "config.json"],
            json.dumps({"model": "vits", "audio": {}}),
            ("coqui", "speech"),
        ),
    ],
)
def test_kind_is_told_by_files_and_architecture(
    files: list[str], text: str, expected: tuple[str, str]
) -> None:
    recognised = recognise(files, text)

    assert recognised
    assert (recognised.backend, recognised.task) == expected


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ([], ""),
        (["README.md"], ""),
        (["config.json"], "no json"),
        (["config.json"], "[]"),
        (["config.json"], config("SomethingElse")),
        (["config.json"], config("T5ForConditionalGeneration")),
    ],
)
def test_other_files_are_not_guessed_at(files: list[str], text: str) -> None:
    assert recognise(files, text) is None
