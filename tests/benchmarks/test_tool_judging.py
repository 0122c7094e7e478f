"""What counts as the right tool, the right arguments, and an answer that uses the result."""

from __future__ import annotations

from benchmarks.language.service import ObservedRun
from benchmarks.language.tool_judging import Attempt, Call, Score, ToolTask, score
from benchmarks.language.tools import list_calls, read_tasks

TASK = ToolTask("How warm is it in Rukum?", "weather", {"city": "rukum"}, answer=("31",))
CALL = Call("weather", {"city": "Rukum"}, {"celsius": 31})


def test_right_call_and_an_answer_with_its_result_score_in_full() -> None:
    assert score(TASK, Attempt([CALL], "It is 31 degrees.")) == Score(True, True, True, False)


def test_right_tool_with_wrong_arguments_is_half_a_success() -> None:
    wrong = Call("weather", {"city": "Paris"}, None)

    assert score(TASK, Attempt([wrong], "It is 31 degrees.")) == Score(True, False, False, False)


def test_call_that_stands_in_the_answer_is_raw() -> None:
    answer = '{"name": "weather", "arguments": {"city": "Rukum"}}'

    assert score(TASK, Attempt([], answer)) == Score(False, False, False, True)


def test_answer_that_guesses_without_a_call_does_not_count() -> None:
    assert not score(TASK, Attempt([], "It is 31 degrees.")).answer


def test_arguments_that_may_be_written_in_many_ways_are_judged_by_the_result() -> None:
    task = ToolTask("6 times 7?", "calculate", result="42", answer=("42",))

    right = Call("calculate", {"expression": "7*6"}, {"result": 42})
    wrong = Call("calculate", {"expression": "6+7"}, {"result": 13})

    assert score(task, Attempt([right], "42")).arguments
    assert not score(task, Attempt([wrong], "42")).arguments


def test_value_of_the_result_that_nobody_knows_before_must_be_in_the_answer() -> None:
    task = ToolTask("Which day?", "clock", uses=("weekday",))
    call = Call("clock", {}, {"weekday": "Monday"})

    assert score(task, Attempt([call], "It is monday.")).answer
    assert not score(task, Attempt([call], "It is Tuesday.")).answer


def test_calls_of_a_run_get_their_results_in_order() -> None:
    phases = [("called", None), ("returned", 1), ("called", None), ("returned", 2)]
    run = ObservedRun()
    for phase, result in phases:
        data = {"phase": phase, "tool": "stock", "arguments": {}, "result": result}
        run.events.append({"type": "tool", "data": data})

    assert [call.result for call in list_calls(run)] == [1, 2]


def test_set_has_twenty_tasks_for_seven_tools() -> None:
    tasks = list(read_tasks())

    assert len(tasks) == 20
    assert len({task.tool for task in tasks}) == 7
