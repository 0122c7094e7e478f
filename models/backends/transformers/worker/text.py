"""Causal models with a chat template."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LogitsProcessorList,
    StoppingCriteriaList,
)

from config.errors import Cancelled, Invalid, Unavailable
from models.backends.transformers.options import MIB
from models.backends.transformers.worker.json_constraint import JsonConstraint, JsonConstraints
from models.backends.transformers.worker.loading import load_model, open_device, open_processor
from models.backends.transformers.worker.prompt_cache import PromptCache
from models.backends.transformers.worker.writing import PieceStreamer, end_tokens
from models.output.thinking import PAIRS
from models.workers.host import Answer, TaskHandle


class TextHandler:
    """Methods: `about`, `count` (messages, tools), and `write`, which streams.

    `write` takes these, sampling, a `schema` of its answer, and the `scope` within which what is
    read of the prompt may serve others. Its last piece tells how far it was held to the schema
    (`loosened`), and how much of the prompt was known (`cached_tokens`).
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._placement = open_device(options)
        self._tokenizer = open_processor(AutoTokenizer, options["source"])
        self._template = _template(self._tokenizer, options["chat_template"])
        self._fields = options["template_fields"]
        self._model = load_model(AutoModelForCausalLM, options, self._placement)
        read = getattr(self._model.config, "max_position_embeddings", None)
        self._context = min(options["context"], read or options["context"])
        self._prompts = PromptCache(self._model, options["prompt_cache_mib"] * MIB)
        self._constraints = JsonConstraints(self._tokenizer, self._model, end_tokens(self._model))

    def memory(self) -> dict[str, Any]:
        return self._placement.memory()

    def handle(self, method: str, header: dict[str, Any], body: bytes, task: TaskHandle) -> Answer:
        if method == "about":
            return {"tools": "tools" in self._template, "context": self._context}, b""
        text = self._written(header["messages"], header["tools"])
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        if method == "count":
            return {"tokens": len(ids)}, b""
        opened = next((tag for tag in PAIRS if text.rstrip().endswith(tag)), "")
        schema = header["schema"]
        constraint = None if schema is None else self._constraints.constrain(schema, opened)
        return self._write(self._prompt(ids), opened, constraint, header, task), b""

    def _write(
        self,
        tokens: torch.Tensor,
        opened: str,
        constraint: JsonConstraint | None,
        header: dict[str, Any],
        task: TaskHandle,
    ) -> dict[str, Any]:
        pieces = PieceStreamer(self._tokenizer, task, end_tokens(self._model), header["stop"])
        if opened:  # the template itself began the thinking
            task.emit({"text": opened})
        most = min(header["max_tokens"], self._context - tokens.shape[1])
        torch.manual_seed(header["seed"]) if header["seed"] is not None else torch.seed()
        cached_tokens = self._generate(
            tokens,
            header["scope"],
            generation_config=self._generation(header, most),
            streamer=pieces,
            logits_processor=LogitsProcessorList([constraint] if constraint else []),
            stopping_criteria=StoppingCriteriaList(
                [pieces.criterion(), *([constraint.criterion()] if constraint else [])]
            ),
        )
        has_end = pieces.stopped or pieces.ended or bool(constraint and constraint.is_complete)
        return {
            "finish_reason": "length" if pieces.tokens >= most and not has_end else "stop",
            "input_tokens": tokens.shape[1],
            "cached_tokens": cached_tokens,
            "output_tokens": pieces.tokens,
            "loosened": constraint.loosened if constraint else [],
        }

    def _generate(self, tokens: torch.Tensor, scope: str | None, **fields: Any) -> int:
        """Generate an answer, and return how many tokens of the prompt had been read before."""
        prompt: list[int] = tokens[0].tolist()
        cache = self._prompts.open(scope, prompt)
        known = 0 if cache is None else cache.get_seq_length()
        if cache is not None:
            fields["past_key_values"] = cache
        try:
            written = self._model.generate(tokens, attention_mask=torch.ones_like(tokens), **fields)
        except torch.OutOfMemoryError:
            self._prompts.clear()
            self._placement.release()
            raise
        except Cancelled:
            # Raised between two tokens, so that the cache is whole.
            self._prompts.keep(scope, prompt, len(prompt), cache)
            raise
        self._prompts.keep(scope, written[0].tolist(), len(prompt), cache)
        return known

    def _written(self, messages: list[dict[str, Any]], tools: Any) -> str:
        try:
            return self._rendered(messages, tools)
        except TemplateError:
            # Some templates refuse a system message: its words then go before the user's.
            return self._rendered(_without_system(messages), tools)

    def _prompt(self, ids: list[int]) -> torch.Tensor:
        if len(ids) >= self._context:
            raise Invalid(
                f"The prompt has {len(ids)} tokens, and the context holds {self._context}. "
                "Shorten it, or raise the model's option `context` where the model can read more.",
                code="context_overflow",
                details={"tokens": len(ids), "context": self._context},
            )
        return torch.tensor([ids], device=self._placement.device)

    def _rendered(self, messages: list[dict[str, Any]], tools: Any) -> str:
        text: str = self._tokenizer.apply_chat_template(
            messages,
            tools=tools or None,
            chat_template=self._template,
            add_generation_prompt=True,
            tokenize=False,
            **self._fields,
        )
        return text

    def _generation(self, header: dict[str, Any], most: int) -> Any:
        chosen = copy.deepcopy(self._model.generation_config)
        chosen.max_new_tokens, chosen.max_length = most, None
        if chosen.pad_token_id is None:
            ends = chosen.eos_token_id
            chosen.pad_token_id = ends[0] if isinstance(ends, list) else ends
        if header["temperature"] is not None:
            chosen.do_sample = header["temperature"] > 0
        if not chosen.do_sample:  # what is for sampling would be warned of
            chosen.temperature = chosen.top_p = chosen.top_k = None
            return chosen
        for name in ("temperature", "top_p", "top_k"):
            if header[name] is not None:
                setattr(chosen, name, header[name])
        return chosen


def _template(tokenizer: Any, file: str | None) -> str:
    if file:
        try:
            return Path(file).expanduser().read_text(encoding="utf-8")
        except OSError as error:
            message = f"options.chat_template: {file} cannot be read: {error.strerror}"
            raise Invalid(message, code="invalid_model_options") from error
    if not tokenizer.chat_template:
        raise Unavailable(
            "The model has no chat template, so it only continues texts. Name a Jinja file in the "
            "option `chat_template`, or take a model that is made for chat.",
            code="chat_template_missing",
            permanent=True,
        )
    template: str = tokenizer.get_chat_template()
    return template


def _without_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    instructions = "\n\n".join(each["content"] for each in messages if each["role"] == "system")
    rest = [dict(each) for each in messages if each["role"] != "system"]
    first = next((each for each in rest if each["role"] == "user"), None)
    if first and instructions:
        first["content"] = f"{instructions}\n\n{first['content']}"
    return rest
