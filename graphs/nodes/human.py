"""`human`: stop and ask a person; the run goes on with the answer."""

from __future__ import annotations

from typing import Any, Literal

from langgraph.types import interrupt
from pydantic import Field, JsonValue

from config.errors import Invalid
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.spec.fields import field_values, fields_schema
from graphs.spec.parts import AnyInputField, ChannelName, NodeSpec
from graphs.structured import OutputSchema


class HumanSpec(NodeSpec):
    """Asks a person. `save: channel` saves the answer, `save: {channel: field}` its fields.

    A step that asked runs from its begin when it is answered, so it does nothing else.
    """

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
    for field in ("retry", "timeout_s", "cache", "on_error"):
        if getattr(spec, field) is not None:
            scope.problem(field, "a person's answer is waited for: `human` takes none of this.")
    if spec.answer is not None and spec.answer_schema is not None:
        scope.problem("schema", "give `answer` or `schema`, not both.")
    shape = None if spec.answer_schema is None else OutputSchema(spec.answer_schema)
    if shape and (wrong := shape.problem()):
        scope.problem("schema", wrong)
    scope.check_parts(spec.save, ["answer", *(spec.answer or {})])
    schema = fields_schema(spec.answer) if spec.answer is not None else spec.answer_schema

    def check(answer: Any) -> Any:
        if spec.answer is not None:
            return field_values(spec.answer, answer, _wrong)
        if shape and (error := shape.error(answer)):
            raise _wrong("", error)
        return answer

    async def run(inputs: dict[str, Any], call: NodeContext) -> dict[str, Any]:
        question = {"message": inputs["message"], "show": inputs.get("show"), "schema": schema}
        while True:
            answer = interrupt(question, response_schema=schema)
            try:
                checked = check(answer)
            except Invalid as error:
                question = {**question, "error": error.message}
                continue
            return {**(checked if spec.answer is not None else {}), "answer": checked}

    return CompiledNode(scope.optional(message=spec.message, show=spec.show), run)


def _wrong(name: str, why: str) -> Invalid:
    where = f"answer.{name}" if name else "answer"
    return Invalid(f"{where}: {why}", code="invalid_answer", details={"field": where})


HUMAN = NodeType(HumanSpec, build, None, lambda spec: "answer")
