"""Codes of warnings: events of a run that goes on."""

from __future__ import annotations

from collections.abc import Mapping

from config.error_codes.kinds import ErrorCode

WARNINGS: Mapping[str, ErrorCode] = {
    "answer_quoted": ErrorCode(
        "No passage says what the model answered, it only repeated the question, or it refused "
        "although some fit: their best sentences are quoted in its place or beside it.",
        "Read the quote; a stronger model answers in its own words.",
    ),
    "answer_raw": ErrorCode(
        "The model of an `agent` node answered with a bare call or the bare result of a tool, even "
        "when it was asked for words.",
        "Do not show the answer as it is; take a model that is better with tools.",
    ),
    "answer_retried": ErrorCode(
        "After its tools a model answered with nothing, a bare call or the bare result of a tool: "
        "it was asked once more, without tools.",
        "Take a model that is better with tools, or give it more tokens (`max_tokens`).",
    ),
    "answer_unchecked": ErrorCode(
        "No embedding model was available to compare the answer with its sources.",
        "Make the role `embed` available, or read the answer with that in mind.",
    ),
    "citation_unknown": ErrorCode(
        "The answer cites passages that the model was not given.",
        "Treat those sentences as unsupported; a stronger model cites more reliably.",
    ),
    "function_runs_on": ErrorCode(
        "A function of a tool was given up, as it took too long; its thread still runs it.",
        "Give the function a bound of its own, as on each request that it makes.",
    ),
    "prompt_shortened": ErrorCode(
        "Not all of a prompt fits the model's context; what was left out is in the event.",
        "Condense the conversation, ask for fewer passages, or give the model a longer context.",
    ),
    "response_cut": ErrorCode(
        "An answer reached the model's bound of tokens, so that it is not whole.",
        "Raise `max_tokens` of the node or the model, or ask for less; `on_cut: trim` ends it at "
        "a sentence.",
    ),
    "response_repeating": ErrorCode(
        "The model repeated itself and was stopped; what came before the repetitions is kept.",
        "Try again, raise its `temperature`, or take a larger model.",
    ),
    "summary_incomplete": ErrorCode(
        "A `condense` node's model was shown the beginnings of long messages alone.",
        "Keep long texts out of the conversation, such as in a channel of their own.",
    ),
    "tool_call_repeated": ErrorCode(
        "A model called a tool just as before, when that had failed or given the same; it was then "
        "asked to answer without tools.",
        "Describe the tool's arguments more plainly, bind them with `arguments`, or take a model "
        "that is better with tools.",
    ),
    "tool_result_shortened": ErrorCode(
        "A tool gave the model of an `agent` node more text than it is shown.",
        "Let the tool answer in fewer words, or ask it for less.",
    ),
    "weak_evidence": ErrorCode(
        "The best passages score below the index's threshold.",
        "Ask more precisely, add documents, or calibrate the index.",
    ),
}
