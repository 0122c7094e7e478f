"""`agent`: a chat model that calls tools until it can answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from pydantic import Field, JsonValue

from config.errors import Unavailable, nearest
from config.origins import ListedHost
from graphs.chat.answers import SAYS_NOTHING, check_parts
from graphs.chat.ask import Answer, BoundChat, ask
from graphs.chat.foreign import NOTE
from graphs.chat.messages import add_to_system, build_messages
from graphs.chat.sampling import SamplingSpec, compile_sampling, read_sampling
from graphs.compile.durable import durable_call
from graphs.compile.node import CompiledNode, CompileScope, NodeContext, NodeType
from graphs.compile.retry import will_retry
from graphs.nodes.model_tools import CalledTools, ModelTools
from graphs.nodes.raw_answers import RawKind, find_raw
from graphs.nodes.tool_calls import literal_hosts
from graphs.spec.channel_types import Type
from graphs.spec.node_spec import NodeSpec
from models.output.call_parsing import tools_of
from models.refusal import HOW_TO_GET_LANGUAGE_MODEL

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

PARTS: dict[str, Type] = {
    "text": "string",
    "message": "any",
    "messages": "any",
    "steps": "integer",
    "model": "string",
    "thinking": "string",
    "cut": "string",
    "citations": "list",
    "checks": "list",
    "refused": "boolean",
}
LAST_TURN = "No more tools can be called. Answer now with what you have found out."
IN_WORDS = (
    "No more tools can be called, and nobody reads data. Answer now in words, with what you have "
    "found out."
)
RAW: Mapping[RawKind, str] = {
    "call": "The model answered with a bare call of a tool.",
    "result": "The model answered with the bare result of a tool.",
}
RESULTS = "This is what the tools gave:"
NO_RESULTS = "The tools gave nothing."


class AgentNodeSpec(SamplingSpec):
    """Lets a model call tools, at most `max_steps` times, and then answer."""

    type: Literal["agent"]
    model: str = Field("chat", description="A role, a model's name, or `ollama/<tag>`.")
    system: str | None = None
    messages: str | None = Field(None, description="A conversation that stands before the prompt.")
    trust_system: bool = Field(
        False, description="Whether system messages of the conversation count as one's own."
    )
    prompt: str | None = None
    tools: list[str] = Field(min_length=1, description="Names of tools.")
    arguments: dict[str, dict[str, JsonValue]] = Field(
        default_factory=dict,
        description="By a tool's name: arguments that the model does not choose.",
    )
    hosts: list[ListedHost] = Field(
        default_factory=list,
        description="Hosts of addresses that the model may choose although private data was read.",
    )
    other_hosts: Literal["refuse", "ask"] = Field(
        "refuse", description="Whether a person is asked about an address of another host."
    )
    max_steps: int = Field(8, ge=1, le=100, description="A bound on turns with tools.")


def build(spec: AgentNodeSpec, scope: CompileScope) -> CompiledNode:
    if spec.prompt is None and spec.messages is None:
        scope.problem("prompt", "is required, or `messages`.")
    for name in spec.arguments:
        if name not in spec.tools:
            scope.problem(("arguments", name), "is none of its tools.", nearest(name, spec.tools))
    inputs = scope.optional(
        model=spec.model,
        system=spec.system,
        messages=spec.messages,
        prompt=spec.prompt,
        arguments=spec.arguments,
    )
    inputs |= compile_sampling(spec, scope)

    async def run(inputs: dict[str, Any], context: NodeContext) -> dict[str, Any]:
        messages = await build_messages(inputs, context, trust_system=spec.trust_system)
        hosts = (*spec.hosts, *literal_hosts(spec.arguments))
        bound, asks = inputs["arguments"], spec.other_hosts == "ask"
        tools = ModelTools(context, spec, spec.tools, bound, hosts, asks)
        sampling = read_sampling(inputs)
        loop = ToolLoop(context, spec, str(inputs["model"]), messages, tools, sampling)
        answer = await loop.run(spec.max_steps)
        # A sentence may rest on a tool that gives no passages, so one without a citation is fine.
        checked = await check_parts(answer, context, uncited=False)
        parts = {key: value for key, value in checked.items() if key in PARTS}
        thinking = "\n\n".join(filter(None, loop.thoughts))
        messages = [*loop.added, parts["message"]]
        return {**parts, "thinking": thinking, "messages": messages, "steps": loop.turns}

    return CompiledNode(inputs, run, retries_itself=True)


class ToolLoop:
    """One conversation with a model and its tools, within one step.

    Every answer and every tool's result is a durable call: after a crash none of those that were
    stored is asked for again. What is returned is an answer in words; where the model gives none,
    also when it is asked for one, there is a warning or an error.
    """

    def __init__(
        self,
        context: NodeContext,
        spec: NodeSpec,
        model: str,
        messages: Sequence[BaseMessage],
        tools: ModelTools,
        sampling: Mapping[str, Any],
    ) -> None:
        self._context = context
        self._spec = spec
        self._model = model
        self._tools = tools
        self._sampling = sampling
        self._messages = list(messages)
        if tools.reads:
            self._messages = add_to_system(self._messages, NOTE)
        self._failed: set[str] = set()
        self._last_outcomes: list[str] = []
        self._tool_values: list[Any] = []
        """What the tools gave."""
        self.added: list[BaseMessage] = []
        """The calls of this step, and their results."""
        self.thoughts: list[str] = []
        self.turns = 0

    async def run(self, max_turns: int) -> Answer:
        """Let the model call tools until it answers, and return its last answer.

        Calls that fail as they did before end the tools, and so do a turn that is just like the
        one before, and an answer that says nothing after calls, or is a bare call or result.
        Raises `Unavailable` (`too_many_turns`) for a model that never stops calling.
        """
        for _ in range(max_turns):
            answer = await self._ask(self._bind_tools, self.added, mends=self.turns > 0)
            if not _calls(answer.message):
                return await self._mend(answer)
            self.turns += 1
            called = await self._tools.call(answer.message)
            self.added += [answer.message, *called.results]
            self._tool_values += called.values
            if self._is_repeated(called):
                message = "The model repeated a call that had failed, or led to the same before."
                return await self._ask_last(code="tool_call_repeated", message=message)
        message = f"{max_turns} turns with tools are used up."
        return await self._ask_last(code="too_many_turns", message=message)

    async def _mend(self, answer: Answer) -> Answer:
        """Return an answer, or that to another question where it is not in words."""
        if not answer.message.text.strip():
            message = "The model answered with nothing after its tools."
            return await self._ask_last(code="answer_retried", message=message)
        if raw := self._find_raw(answer):
            return await self._ask_last(
                [answer.message], IN_WORDS, code="answer_retried", message=RAW[raw]
            )
        return answer

    def _find_raw(self, answer: Answer) -> RawKind | None:
        return find_raw(answer.message.text, self._tool_values, tools_of(self._tools.declare()))

    def _is_repeated(self, called: CalledTools) -> bool:
        """Tell whether a turn brings nothing new, and note it."""
        fails_again = not self._failed.isdisjoint(called.failed)
        is_same = called.outcomes == self._last_outcomes
        self._failed.update(called.failed)
        self._last_outcomes = called.outcomes
        return fails_again or is_same

    async def _ask_last(
        self,
        rejected: Sequence[BaseMessage] = (),
        request: str = LAST_TURN,
        *,
        code: str,
        message: str,
    ) -> Answer:
        """Ask for an answer without tools: in the conversation, then beside the bare results."""
        self._context.emit("warning", code=code, message=message)
        spoken = [*self.added, *rejected, HumanMessage(request)]
        answer = await self._ask(None, spoken, mends=True)
        text = answer.message.text.strip()
        if not text or _calls(answer.message) or self._find_raw(answer):
            # A small model goes on in the way of its earlier turns: it is shown none of them.
            answer = await self._ask(None, [HumanMessage(f"{self._results()}\n\n{request}")])
            text = answer.message.text.strip()
        if not text:
            raise Unavailable(
                f"The model went on calling tools when it had to answer. {message} Raise "
                "`max_steps`, or take a model that is better with tools.",
                code="too_many_turns",
                permanent=True,
            )
        if raw := self._find_raw(answer):
            self._context.emit("warning", code="answer_raw", message=RAW[raw])
        plain = answer.message.model_copy(update={"tool_calls": [], "invalid_tool_calls": []})
        return Answer(plain, answer.thinking, answer.cut)

    def _results(self) -> str:
        texts = [
            str(each.text)
            for each in self.added
            if isinstance(each, ToolMessage) and each.status != "error"
        ]
        return "\n\n".join((RESULTS, *texts)) if texts else NO_RESULTS

    async def _ask(
        self,
        bind: Callable[[BaseChatModel], BoundChat] | None,
        spoken: Sequence[BaseMessage],
        *,
        mends: bool = False,
    ) -> Answer:
        """Ask with what was said in this step; without `bind` tools are declared to nobody.

        Where it `mends`, an answer that says nothing is returned as such, after the node's retries.
        """
        tools = self._tools.declare()

        async def ask_model(context: NodeContext) -> Mapping[str, Any]:
            messages = [*self._messages, *spoken]
            more: dict[str, Any] = {"withheld": tools} if bind is None else {"bind": bind}
            try:
                answer = await ask(context, self._model, messages, sampling=self._sampling, **more)
            except Unavailable as error:
                says_nothing = error.code in SAYS_NOTHING
                if not mends or not says_nothing or will_retry(error, context, self._spec):
                    raise
                # Stored as an answer, so that the calls after it keep their order after a crash.
                answer = Answer(AIMessage(""), cut=error.details.get("cut", ""))
            return vars(answer)

        stored = await durable_call(ask_model, "model", self._context, self._spec)
        answer = Answer(**{**stored, "message": self._tools.read_calls(stored["message"])})
        self.thoughts.append(answer.thinking)
        return answer

    def _bind_tools(self, chat: BaseChatModel) -> BoundChat:
        try:
            return chat.bind_tools(self._tools.declare())
        except NotImplementedError as error:
            raise Unavailable(
                "The chat model that is available here cannot call tools. "
                f"{HOW_TO_GET_LANGUAGE_MODEL}",
                code="needs_language_model",
                permanent=True,
            ) from error


def _calls(message: AIMessage) -> bool:
    return bool(message.tool_calls or message.invalid_tool_calls)


AGENT = NodeType(AgentNodeSpec, build, PARTS, "text", model_task="chat")
