"""The agent node: a model that calls tools, within bounds, over crashes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver

from config.errors import Invalid, NotFound, Unavailable
from tests.support.graph_runs import agent_of_yaml, run
from tests.support.graphs import FakeModels, calling, chat, context, scripted_tool

TALK = """\
input: {question: string}
nodes:
  work:
    type: agent
    prompt: "{{ question }}"
    tools: [calculate]
    max_steps: 3
    save: {answer: text, steps: steps, said: messages, citations: citations}
output: [answer, steps, said, citations]
"""


def calls(count: int) -> list[AIMessage]:
    """So many calls, each another one."""
    return [calling("calculate", expression=f"{number}") for number in range(count)]


async def test_a_model_calls_tools_until_it_answers() -> None:
    model = chat(calling("calculate", expression="6 * 7"), "It is 42.")
    used = context(models=FakeModels({"chat": model}))
    transcript = await run(agent_of_yaml(TALK), {"question": "6 * 7?"}, used)
    assert (transcript.output["answer"], transcript.output["steps"]) == ("It is 42.", 1)
    assert [message["type"] for message in transcript.output["said"]] == ["ai", "tool", "ai"]
    assert '"result": 42' in model.asked[1][-1].content
    assert [(e["phase"], e["tool"]) for e in transcript.kinds("tool")] == [
        ("called", "calculate"),
        ("returned", "calculate"),
    ]
    assert model.bound[0][0]["function"]["name"] == "calculate"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (calling("calculat", expression="1"), "no tool 'calculat'. Did you mean 'calculate'"),
        (calling("calculate", expresion="1"), "no argument 'expresion'. Did you mean 'expression'"),
        (calling("calculate", expression="1 / 0"), "zero"),
    ],
)
async def test_wrong_tool_call_is_answered_with_its_error(call: AIMessage, says: str) -> None:
    model = chat(call, "I see.")
    used = context(models=FakeModels({"chat": model}))
    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, used)
    answer = model.asked[1][-1]
    assert answer.status == "error"
    assert any(part in answer.content for part in says.split("|"))
    assert transcript.output["answer"] == "I see."


def leave(arguments: dict[str, Any]) -> None:
    raise SystemExit(3)


async def test_a_tool_that_exits_is_told_to_the_model() -> None:
    model = chat(calling("leave"), "It would not.")
    tool = replace(scripted_tool("leave", leave, repeatable=True), origin="mine.py")
    agent = agent_of_yaml(TALK.replace("[calculate]", "[leave]"))

    used = context(models=FakeModels({"chat": model}), tools=[tool])
    transcript = await run(agent, {"question": "?"}, used)

    assert transcript.output["answer"] == "It would not."
    assert "SystemExit: 3" in model.asked[1][-1].content


async def test_a_tool_that_exits_fails_its_item_of_a_map_alone() -> None:
    tool = replace(scripted_tool("leave", leave, repeatable=True), origin="mine.py")
    agent = agent_of_yaml(
        "nodes:\n"
        "  each:\n"
        "    type: map\n"
        "    over: [1, 2]\n"
        "    on_item_error: collect\n"
        "    nodes:\n"
        "      act: {type: tool, tool: leave, save: r, when: item == 1}\n"
        "    result: done\n"
        "    save: {results: results, errors: errors}\n"
        "output: [results, errors]\n"
    )
    output = (await run(agent, {}, context(tools=[tool]))).output

    assert output["results"] == [None, "done"]
    assert [error["code"] for error in output["errors"]] == ["tool_failed"]


@pytest.mark.parametrize("policy", ["{then: continue, default: {r: none}}", "{goto: after}"])
async def test_on_error_applies_to_a_tool_that_exits(policy: str) -> None:
    tool = replace(scripted_tool("leave", leave, repeatable=True), origin="mine.py")
    agent = agent_of_yaml(
        f"nodes:\n  act: {{type: tool, tool: leave, save: r, on_error: {policy}}}\n"
        "  after: {type: set, values: {done: true}}\noutput: [done]\n"
    )
    assert (await run(agent, {}, context(tools=[tool]))).output == {"done": True}


async def test_a_result_that_the_model_is_shown_in_part_is_a_warning() -> None:
    model = chat(calling("tell"), "Long.")
    tell = scripted_tool("tell", lambda arguments: "x" * 50_000, repeatable=True)
    agent = agent_of_yaml(TALK.replace("[calculate]", "[tell]"))

    used = context(models=FakeModels({"chat": model}), tools=[tell])
    transcript = await run(agent, {"question": "?"}, used)

    assert [each["code"] for each in transcript.kinds("warning")] == ["tool_result_shortened"]
    assert len(model.asked[1][-1].content) < 50_000


async def test_calls_of_one_answer_are_all_answered_in_order() -> None:
    both = AIMessage(
        "",
        tool_calls=[
            {"name": "calculate", "args": {"expression": f"{n} + 0"}, "id": f"c{n}"} for n in (1, 2)
        ],
    )
    model = chat(both, "done")
    await run(agent_of_yaml(TALK), {"question": "?"}, context(models=FakeModels({"chat": model})))
    answers = model.asked[1][-2:]
    assert [(m.tool_call_id, "result" in m.content) for m in answers] == [
        ("c1", True),
        ("c2", True),
    ]


async def test_after_the_bound_the_model_must_answer_without_tools() -> None:
    model = chat(*calls(3), "Well: 1.")
    transcript = await run(
        agent_of_yaml(TALK), {"question": "?"}, context(models=FakeModels({"chat": model}))
    )
    assert (transcript.output["answer"], transcript.output["steps"]) == ("Well: 1.", 3)
    assert "No more tools" in model.asked[3][-1].content
    assert [m["type"] for m in transcript.output["said"]] == ["ai", "tool"] * 3 + ["ai"]
    assert transcript.kinds("warning")[0]["code"] == "too_many_turns"
    with pytest.raises(Unavailable) as caught:
        await run(agent_of_yaml(TALK), {"question": "?"}, context(*calls(9)))
    assert caught.value.code == "too_many_turns"


async def test_a_model_that_cannot_call_tools_says_how_to_get_one() -> None:
    with pytest.raises(Unavailable, match="motet models add") as caught:
        await run(agent_of_yaml(TALK), {"question": "?"}, context())
    assert caught.value.code == "needs_language_model"


async def test_agent_with_an_unknown_tool_names_it() -> None:
    agent = agent_of_yaml(TALK.replace("[calculate]", "[calculator]"))
    with pytest.raises(NotFound, match="Did you mean 'calculate'"):
        await run(agent, {"question": "?"}, context("x"))


async def test_passages_that_a_tool_found_can_be_cited() -> None:
    passage = {"id": "p", "document": "d", "title": "T", "text": "A fact.", "start": 1, "end": 8}
    find = scripted_tool("find", lambda arguments: {"passages": [passage]})
    model = chat(calling("find", page=1), calling("find", page=2), "So it is [2].")
    used = context(models=FakeModels({"chat": model}), tools=[find])
    agent = agent_of_yaml(TALK.replace("[calculate]", "[find]"))
    transcript = await run(agent, {"question": "?"}, used)
    assert model.asked[1][-1].content.splitlines()[1:-1] == ["[1] T: A fact."]
    assert model.asked[2][-1].content.splitlines()[1:-1] == ["[2] T: A fact."]
    assert [(c["n"], c["start"]) for c in transcript.output["citations"]] == [(2, 1)]


async def test_after_a_crash_no_answer_and_no_tool_is_asked_for_again() -> None:
    done: list[str] = []
    broken = [True]

    def note(arguments: dict[str, Any]) -> str:
        done.append(arguments["word"])
        return "noted"

    def last(messages: Any) -> Any:
        if broken:
            broken.clear()
            return RuntimeError("the process died")
        return f"Noted {len(messages)}."

    model = chat(calling("note", word="a"), calling("note", word="b"), last)
    used = context(models=FakeModels({"chat": model}), tools=[scripted_tool("note", note)])
    agent = agent_of_yaml(TALK.replace("[calculate]", "[note]"))
    graph = agent.compile(InMemorySaver())
    with pytest.raises(RuntimeError):
        await run(agent, {"question": "?"}, used, graph=graph)
    assert (done, len(model.asked)) == (["a", "b"], 3)
    config: Any = {"configurable": {"thread_id": "t"}}
    values = await graph.ainvoke(None, config, context=used)
    assert agent.output(values)["answer"] == "Noted 6."  # the note on texts of others among them
    assert (done, len(model.asked)) == (["a", "b"], 4)


async def test_retry_holds_for_each_answer_and_call_by_itself() -> None:
    tries: list[int] = []

    def shaky(arguments: dict[str, Any]) -> str:
        tries.append(1)
        if len(tries) < 2:
            raise ConnectionError("broken")
        return "good"

    model = chat(calling("shaky"), Unavailable("down"), "Done.")
    used = context(models=FakeModels({"chat": model}), tools=[scripted_tool("shaky", shaky)])
    yaml = TALK.replace("[calculate]", "[shaky]").replace(
        "max_steps: 3", "retry: {attempts: 2, backoff_s: 0}"
    )
    transcript = await run(agent_of_yaml(yaml), {"question": "?"}, used)
    assert transcript.output["answer"] == "Done."
    assert (len(tries), len(model.asked)) == (2, 3)


async def test_durable_calls_emit_their_own_step_and_attempt() -> None:
    model = chat(calling("calculate", expression="1 + 1"), Unavailable("down"), "Done.")
    used = context(models=FakeModels({"chat": model}))
    yaml = TALK.replace("max_steps: 3", "retry: {attempts: 2, backoff_s: 0}")
    transcript = await run(agent_of_yaml(yaml), {"question": "?"}, used)
    assert transcript.steps == ["work/model", "work/calculate", "work/model", "work"]
    nodes = {
        kind: {e["node"] for e in transcript.kinds(kind)} for kind in ("model", "tool", "warning")
    }
    assert nodes == {"model": {"work/model"}, "tool": {"work/calculate"}, "warning": {"work/model"}}
    (again,) = transcript.kinds("attempt")
    assert (again["node"], again["number"]) == ("work/model", 2)


async def test_while_tools_work_no_model_is_leased() -> None:
    seen: list[int] = []
    models = FakeModels({"chat": chat(calling("look"), "ok")})
    look = scripted_tool("look", lambda arguments: seen.append(models.leased) or "seen")
    agent = agent_of_yaml(TALK.replace("[calculate]", "[look]"))
    await run(agent, {"question": "?"}, context(models=models, tools=[look]))
    assert seen == [0]
    assert models.most_leased == 1


CALL = '{"name": "calculate", "arguments": {"expression": "6 * 7"}}'
PARTS = TALK.replace("said: messages,", "said: messages, thinking: thinking, cut: cut,").replace(
    "output: [answer, steps, said, citations]", "output: [answer, steps, said, thinking, cut]"
)


def agent_with(model: Any, *tools: Any) -> Any:
    return context(models=FakeModels({"chat": model}), tools=tools)


@pytest.mark.parametrize(
    "written",
    [CALL, f"I compute.\n```json\n{CALL}\n```", "{" + CALL + "}", f"<tool_call>{CALL}</tool_call>"],
)
async def test_a_call_in_the_text_is_a_call_and_no_token(written: str) -> None:
    model = chat(written, "It is 42.")

    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert (transcript.output["answer"], transcript.output["steps"]) == ("It is 42.", 1)
    assert '"result": 42' in model.asked[1][-1].content
    assert CALL not in "".join(transcript.tokens)
    assert "{" not in str(model.asked[1][-2].content)


async def test_the_same_wrong_call_twice_ends_the_tools_with_a_warning() -> None:
    wrong = calling("calculate", expression="one plus one")
    model = chat(wrong, wrong, "I cannot compute it.")

    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert (transcript.output["answer"], transcript.output["steps"]) == ("I cannot compute it.", 2)
    assert [each["code"] for each in transcript.kinds("warning")] == ["tool_call_repeated"]
    assert "No more tools" in model.asked[2][-1].content


async def test_another_wrong_call_does_not_end_the_tools() -> None:
    model = chat(
        calling("calculate", expression="one"),
        calling("calculate", expression="two"),
        calling("calculate", expression="1 + 1"),
        "It is 2.",
    )

    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert (transcript.output["answer"], transcript.output["steps"]) == ("It is 2.", 3)


async def test_a_turn_just_like_the_one_before_ends_the_tools_with_a_warning() -> None:
    same = calling("calculate", expression="23 * 19")
    model = chat(same, same, "It is 437.")

    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert (transcript.output["answer"], transcript.output["steps"]) == ("It is 437.", 2)
    assert [each["code"] for each in transcript.kinds("warning")] == ["tool_call_repeated"]


async def test_a_call_that_gives_something_new_may_be_repeated() -> None:
    left = ["running", "done"]
    status = scripted_tool("status", lambda arguments: left.pop(0), repeatable=True)
    agent = agent_of_yaml(TALK.replace("[calculate]", "[status]"))
    model = chat(*[calling("status")] * 2, "It is done.")

    transcript = await run(agent, {"question": "?"}, agent_with(model, status))

    assert (transcript.output["answer"], transcript.kinds("warning")) == ("It is done.", [])


async def test_the_same_call_that_cannot_be_read_twice_ends_the_tools() -> None:
    broken = '{"name": "calculate", "arguments": {"expression": "6 "* 7"}}'
    model = chat(broken, broken, "I cannot.")

    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert transcript.output["answer"] == "I cannot."
    assert "cannot be read" in model.asked[1][-1].content
    assert [each["code"] for each in transcript.kinds("warning")] == ["tool_call_repeated"]


async def test_a_call_in_the_last_answer_is_never_the_answer() -> None:
    call = calling("calculate", expression="6 * 7")
    model = chat(*calls(2), call, CALL, "It is 42.")

    transcript = await run(agent_of_yaml(TALK), {"question": "6 * 7?"}, agent_with(model))

    assert transcript.output["answer"] == "It is 42."
    assert "".join(transcript.tokens) == "It is 42."
    last = model.asked[4]
    assert [message.type for message in last] == ["human", "human"]
    assert '"result": 42' in last[-1].content
    assert [message["type"] for message in transcript.output["said"]] == ["ai", "tool"] * 3 + ["ai"]


async def test_words_beside_a_call_in_the_last_answer_are_the_answer() -> None:
    call = calling("calculate", expression="6 * 7")
    model = chat(*calls(2), call, f"It is 42. {CALL}", f"It is 42. {CALL}")

    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert transcript.output["answer"].strip() == "It is 42."
    assert transcript.output["said"][-1].get("tool_calls", []) == []


async def test_words_of_the_schema_are_no_arguments() -> None:
    echoed = calling("calculate", expression={"type": "string", "description": "What to compute."})
    model = chat(echoed, calling("calculate", type="object", expression="6 * 7"), "It is 42.")

    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert transcript.output["answer"] == "It is 42."
    assert "words of the schema instead of a value: expression" in model.asked[1][-1].content
    assert '"result": 42' in model.asked[2][-1].content


FIND_PARAMETERS = {
    "type": "object",
    "properties": {"query": {"type": "string"}, "index": {"type": "string", "default": "docs"}},
    "required": ["query", "index"],
    "additionalProperties": False,
}
BOUND = """\
input: {question: string, index: string}
nodes:
  work:
    type: agent
    prompt: "{{ question }}"
    tools: [find]
    arguments:
      find: {index: "{{ index }}"}
    save: {answer: text}
output: [answer]
"""


@pytest.mark.parametrize("invented", [{}, {"index": "my_documents"}, {"index": {"type": "string"}}])
async def test_a_bound_argument_is_neither_declared_nor_chosen_by_the_model(
    invented: dict[str, Any],
) -> None:
    called: list[dict[str, Any]] = []
    find = replace(scripted_tool("find", called.append), parameters=FIND_PARAMETERS)
    model = chat(calling("find", query="ships", **invented), "Done.")

    await run(agent_of_yaml(BOUND), {"question": "?", "index": "mine"}, agent_with(model, find))

    assert called == [{"query": "ships", "index": "mine"}]
    declared = model.bound[0][0]["function"]["parameters"]
    assert (list(declared["properties"]), declared["required"]) == (["query"], ["query"])


def test_arguments_of_a_tool_that_the_node_lacks_are_a_problem_of_the_file() -> None:
    with pytest.raises(Invalid, match="Did you mean 'find'"):
        agent_of_yaml(BOUND.replace("      find: {", "      fnd: {"))


async def test_thinking_of_all_turns_is_one_part_and_in_no_message() -> None:
    model = chat(f"<think>I compute.</think>{CALL}", "<think>So.</think>It is 42.")

    transcript = await run(agent_of_yaml(PARTS), {"question": "?"}, agent_with(model))

    output = transcript.output
    assert (output["answer"], output["thinking"]) == ("It is 42.", "I compute.\n\nSo.")
    assert "I compute" not in f"{output['said']}{model.asked[1]}"


async def test_call_that_was_cut_is_not_called() -> None:
    chunk = AIMessage('{"name": "calculate", "arguments": {"expression": "6 * 7')
    chunk.response_metadata["finish_reason"] = "length"
    model = chat(chunk, "It is 42.")

    transcript = await run(agent_of_yaml(PARTS), {"question": "?"}, agent_with(model))

    assert transcript.output["answer"] == "It is 42."
    assert transcript.kinds("tool") == []
    assert "cannot be read" in model.asked[1][-1].content


SUM = '{"expression": "6 * 7", "result": 42}'
RAW = {
    "a result": SUM,
    "fields of a result": '```json\n{"result": 42}\n```',
    "two results": f"{SUM}\n{SUM}",
    "a call that nobody reads": "<tool_call>calculate six times seven</tool_call>",
    "bare arguments": '{"expression": "6 * 7"}',
}


@pytest.mark.parametrize("nothing", ["", "<think>What did it give?</think>"])
async def test_nothing_after_tools_is_asked_once_more_without_tools(nothing: str) -> None:
    model = chat(calling("calculate", expression="6 * 7"), nothing, "It is 42.")

    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert (transcript.output["answer"], transcript.output["steps"]) == ("It is 42.", 1)
    assert [each["code"] for each in transcript.kinds("warning")] == ["answer_retried"]
    assert [message["type"] for message in transcript.output["said"]] == ["ai", "tool", "ai"]
    assert "tools" not in model.options[2]
    assert "No more tools" in model.asked[2][-1].content


@pytest.mark.parametrize(
    ("nothing", "code"),
    [("", "response_empty"), ("<think>So it is.</think>", "only_thinking")],
)
async def test_nothing_in_the_last_answer_too_is_an_error(nothing: str, code: str) -> None:
    model = chat(calling("calculate", expression="1"), nothing)

    with pytest.raises(Unavailable) as caught:
        await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert caught.value.code == code
    assert '"result": 1' in model.asked[-1][-1].content


async def test_nothing_without_a_tool_is_an_error_at_once() -> None:
    model = chat("")

    with pytest.raises(Unavailable) as caught:
        await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert (caught.value.code, len(model.asked)) == ("response_empty", 1)


async def test_retry_of_the_node_comes_before_an_answer_without_tools() -> None:
    model = chat(calling("calculate", expression="6 * 7"), "", "It is 42.")
    agent = agent_of_yaml(TALK.replace("max_steps: 3", "retry: {attempts: 2, backoff_s: 0}"))

    transcript = await run(agent, {"question": "?"}, agent_with(model))

    assert transcript.output["answer"] == "It is 42."
    assert "tools" in model.options[2]


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
async def test_a_bare_call_or_result_is_asked_for_in_words(raw: str) -> None:
    model = chat(calling("calculate", expression="6 * 7"), raw, "It is 42.")

    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert transcript.output["answer"] == "It is 42."
    assert [each["code"] for each in transcript.kinds("warning")] == ["answer_retried"]
    assert "in words" in model.asked[2][-1].content
    assert [message["type"] for message in transcript.output["said"]] == ["ai", "tool", "ai"]


async def test_a_bare_result_that_stays_one_is_a_warning() -> None:
    model = chat(calling("calculate", expression="6 * 7"), SUM)

    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert transcript.output["answer"] == SUM
    assert [each["code"] for each in transcript.kinds("warning")] == [
        "answer_retried",
        "answer_raw",
    ]
    assert len(model.asked) == 4


async def test_a_bare_result_after_the_bound_is_asked_for_beside_the_results() -> None:
    model = chat(*calls(3), '{"result": 2}', "It is 2.")

    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert transcript.output["answer"] == "It is 2."
    assert [message.type for message in model.asked[4]] == ["human", "human"]


@pytest.mark.parametrize("answer", ['{"total": 42}', f"The tool gave {SUM}.", "42"])
async def test_other_answers_with_data_stay_as_they_are(answer: str) -> None:
    model = chat(calling("calculate", expression="6 * 7"), answer)

    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert (transcript.output["answer"], transcript.kinds("warning")) == (answer, [])


async def test_what_is_no_argument_of_the_tool_does_not_fail_its_call() -> None:
    model = chat(calling("calculate", expression="6 * 7", result=42), "It is 42.")

    transcript = await run(agent_of_yaml(TALK), {"question": "?"}, agent_with(model))

    assert '"result": 42' in model.asked[1][-1].content
    assert transcript.kinds("tool")[0]["arguments"] == {"expression": "6 * 7"}
