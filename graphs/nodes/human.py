"""`human`: stop and ask a person; the run goes on with the answer."""

from __future__ import annotations

from typing import Any, Literal

from langgraph.types import interrupt
from pydantic import Field, JsonValue

from config.errors import Invalid
from graphs.chat.output_schema import OutputSchema
from graphs.compile.fan_out import check_question
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.spec.base import ChannelName
from graphs.spec.channels import AnyInputField
from graphs.spec.fields import check_fields, fields_schema
from graphs.spec.node_spec import NodeSpec


class HumanSpec(NodeSpec):
    """Asks a person. `save: channel` saves the answer, `save: {channel: field}` its fields.

    A step that asked runs from its begin when it is answered, so it does nothing else.
    """

    names_within = frozenset(("save", "answer"))

    type: Literal["human"]
    message: str = Field(description="What is asked.")
    show: JsonValue = Field(None, description="What the person needs to see; templates within.")
    answer: dict[ChannelName, AnyInputField] | None = Field(
        None, description="The answer's fields, as in `input`."
    )
    answer_schema: dict[str, JsonValue] | None = Field(
        None, alias="schema", description="Or the JSON schema of the answer."
    )


def build(spec: HumanSpec, scope: CompileScope) -> CompiledNode:
    _check_spec(spec, scope)
    schema = fields_schema(spec.answer) if spec.answer is not None else spec.answer_schema

    async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        question = {"message": inputs["message"], "show": inputs.get("show"), "schema": schema}
        check_question(question)
        while True:
            # `interrupt` raises and ends the step here; LangGraph runs the node anew from its begin
            # for each answer. In that later attempt the n-th call of `interrupt` returns the n-th
            # answer, so this loop meets the refused ones again before it asks the next question.
            answer = interrupt(question, response_schema=schema)
            try:
                checked = await _check_answer(spec, answer)
            except Invalid as error:
                question = {**question, "error": error.message}
                continue
            context.exposure.add_written(checked)
            return {**(checked if spec.answer is not None else {}), "answer": checked}

    return CompiledNode(scope.optional(message=spec.message, show=spec.show), run)


def _check_spec(spec: HumanSpec, scope: CompileScope) -> None:
    for field in ("retry", "timeout_s", "cache", "on_error"):
        if getattr(spec, field) is not None:
            scope.problem(field, "a person's answer is waited for: `human` takes none of this.")
    if spec.answer is not None and spec.answer_schema is not None:
        scope.problem("schema", "give `answer` or `schema`, not both.")
    if spec.answer_schema is not None and (problem := OutputSchema(spec.answer_schema).problem()):
        scope.problem("schema", problem)
    scope.check_parts(spec.save, ["answer", *(spec.answer or {})])


async def _check_answer(spec: HumanSpec, answer: Any) -> Any:
    """Return a person's answer with defaults. Raises `Invalid` (`invalid_answer`)."""
    if spec.answer is not None:
        return check_fields(spec.answer, answer, _invalid)
    if spec.answer_schema is not None:
        error = await OutputSchema(spec.answer_schema).describe_error(answer)
        if error is not None:
            raise _invalid("", error)
    return answer


def _invalid(name: str, reason: str) -> Invalid:
    field = f"answer.{name}" if name else "answer"
    return Invalid(f"{field}: {reason}", code="invalid_answer", details={"field": field})


HUMAN = NodeType(HumanSpec, build, main_part="answer")
