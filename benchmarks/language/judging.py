"""Whether what came of a turn is sound, weak because of the model, or wrong because of Motet. Pure.

Wrong is what no model, however small, should bring about: errors that are not a model's, marks of
calls and thinking in an answer, forms that do not fit, citations that are lost. Weak is the right
form with poor content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.language.service import ObservedRun
from models.output.repetition import MIN_LOOP_CHARS

Verdict = Literal["sound", "weak", "wrong"]

CALL_AS_TEXT = re.compile(
    r"</?tool_call>|\{\s*\{?\s*\"(?:name|function)\"\s*:\s*\"\w+\"\s*,\s*\"(?:arguments|parameters)\"\s*:"
)
MODEL_MARKS = re.compile(
    r"</?think(?:ing)?>|<\|channel\|?>|<\|(?:im_start|im_end|endoftext)\|>|</?(?:start|end)_of_turn>"
    r"|<(?:<|&lt;)(?:foreign|end) [0-9a-f]+"
)
CITED = re.compile(r"\[(\d+(?:\s*,\s*\d+)*)\]")
CIRCLE = re.compile(r"(\S.{3,120}?)(?:\s*\1){5,}", re.DOTALL)
"""The same words six times, one after the other."""
SENTENCE_END = re.compile(r"""[.!?…:;"'”’»)\]}*`|\d]\s*\Z""")
LONG_TEXT = 200
"""Characters; short answers need no full stop."""

ERRORS_OF_MODELS = frozenset(
    {"response_empty", "structured_output_invalid", "too_many_turns", "response_repeating"}
)
"""Errors that say what is true: the model could not do it."""
ANSWER_FIELDS = {"describe": "caption", "digest": "digest", "illustrate": "scenes"}
ANSWER_FIELDS |= {"narrate": "script", "review": "text", "storybook": "story"}
"""The field of an agent's output that holds what was written; else `answer`."""
COUNTED_FIELDS = {"illustrate": "pictures", "narrate": "chapters", "storybook": "scenes"}


@dataclass(frozen=True, slots=True)
class Turn:
    """What an agent is given, and what a sound answer has."""

    agent: str
    number: int
    input: Mapping[str, Any]
    thread: str = ""
    words: Sequence[str] = ()
    refuses: bool = False
    cites: bool = False
    tool: str = ""
    count: int = 0
    replies: Sequence[Mapping[str, Any]] = ()
    picture: str = ""
    sound: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a turn. `faults` are found by others: in files and in the output's schema."""

    run: ObservedRun
    model: str
    faults: Sequence[str] = ()

    @property
    def output(self) -> Mapping[str, Any]:
        return self.run.output if isinstance(self.run.output, Mapping) else {}

    @property
    def warnings(self) -> frozenset[str]:
        return frozenset(str(data["code"]) for data in self.run.data_of("warning"))


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    reasons: Sequence[str]


def judge(turn: Turn, outcome: Outcome) -> Judgement:
    """Judge what came of a turn, with each reason."""
    if wrong := list(find_faults(turn, outcome)):
        return Judgement("wrong", wrong)
    if weak := list(find_weaknesses(turn, outcome)):
        return Judgement("weak", weak)
    return Judgement("sound", [])


def find_faults(turn: Turn, outcome: Outcome) -> Iterator[str]:
    """Find what is wrong whatever the model wrote."""
    run = outcome.run
    yield from outcome.faults
    if run.status != "finished":
        if run.code not in ERRORS_OF_MODELS:
            yield f"{run.code or 'no end'}: {run.error.get('message', '')}"
        return
    answer = answer_of(turn.agent, outcome)
    if not answer.strip():
        yield "an empty answer"
    if mark := CALL_AS_TEXT.search(answer) or MODEL_MARKS.search(answer):
        yield f"{mark[0]!r} in the answer"
    if lost := find_lost_citations(answer, outcome.output):
        yield f"lost citations: {lost}"
    if outcome.output.get("refused") and CITED.search(answer):
        yield "a refusal with citations"
    circle = CIRCLE.search(answer)
    if circle and len(circle[0]) >= MIN_LOOP_CHARS and "response_repeating" not in outcome.warnings:
        yield "goes round in circles without a warning"
    if "needs_language_model" in outcome.warnings or outcome.output.get("model") == "reader":
        yield "does without a language model although one is here"


def find_weaknesses(turn: Turn, outcome: Outcome) -> Iterator[str]:
    """Find what a better model would have done."""
    if outcome.run.code:
        yield outcome.run.code
        return
    answer = answer_of(turn.agent, outcome)
    if missing := [each for each in turn.words if not has_word(answer, each)]:
        yield f"without {', '.join(missing)}"
    if "refused" in outcome.output and bool(outcome.output["refused"]) != turn.refuses:
        yield "answers what the documents do not say" if turn.refuses else "refuses"
    if turn.cites and not outcome.output.get("citations"):
        yield "cites nothing"
    if turn.tool and turn.tool not in [data["tool"] for data in outcome.run.data_of("tool")]:
        yield f"does not call {turn.tool}"
    if turn.count and (count := count_parts(turn.agent, outcome.output)) != turn.count:
        yield f"{count} parts instead of {turn.count}"
    if CIRCLE.search(answer):
        yield "repeats itself"
    if len(answer) > LONG_TEXT and not SENTENCE_END.search(answer):
        yield "ends within a sentence"


def answer_of(agent: str, outcome: Outcome) -> str:
    """Return what was written, as text."""
    field = ANSWER_FIELDS.get(agent, "answer")
    value = outcome.output.get(field)
    if value is None:  # a book has its story in the state alone
        value = find_saved(outcome.run, field) or find_saved(outcome.run, "parts")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "\n\n".join(map(str, value))
    return str(value or "")


def find_saved(run: ObservedRun, channel: str) -> Any:
    """Return what a step wrote to a channel last."""
    updates = [data.get("update") or {} for data in run.data_of("step.finished")]
    return next((each[channel] for each in reversed(updates) if channel in each), None)


def has_word(answer: str, choices: str) -> bool:
    """Tell whether one of the words that | parts is in an answer."""
    return any(each.lower() in answer.lower() for each in choices.split("|"))


def find_lost_citations(answer: str, output: Mapping[str, Any]) -> list[int]:
    """Find the numbers that an answer cites and that have no citation."""
    if "citations" not in output:
        return []
    named = {int(number) for marks in CITED.findall(answer) for number in marks.split(",")}
    return sorted(named - {each["n"] for each in output["citations"] or ()})


def count_parts(agent: str, output: Mapping[str, Any]) -> int:
    """Count the scenes or parts of an output."""
    value = output.get(COUNTED_FIELDS.get(agent, ""), 0)
    return value if isinstance(value, int) else len(value or ())
