#!/usr/bin/env bash
# LangGraph 1.2.22: editing the state of a thread that waits at an interrupt forgets the work of the
# other nodes of that step, although they have finished and their writes are stored.
#
# Two nodes run side by side: `ask` waits for a person, `mail` has sent its mail. "Approve with
# changes" is update_state, then Command(resume=...). What was seen:
#
#   before the edit               next: ask           log: a, mail         mails sent: 1
#   edit without as_node          next: ask, mail     log: a               mails sent: 1
#     then the answer             mail runs again: two mails
#   edit with as_node="ask"       next: nothing       log: a               mails sent: 1
#     then a run without input    the thread has ended: `send` never runs, the write of mail is lost
#
# One would expect that an edit of another channel leaves `mail` done, as an answer without an edit
# does: then `send` runs, and one mail is sent.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langgraph==1.2.22 langgraph-checkpoint==4.3.2

cat >"$folder/edit.py" <<'PYTHON'
import operator
from typing import Annotated, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt


class State(TypedDict, total=False):
    draft: str
    log: Annotated[list, operator.add]


def waiting_thread():
    sent = []

    def ask(state):
        return {"log": [f"ask: {interrupt('ok?')}"]}

    def mail(state):
        sent.append(state["draft"])
        return {"log": ["mail"]}

    graph = StateGraph(State)
    graph.add_node("a", lambda state: {"log": ["a"]})
    graph.add_node("ask", ask)
    graph.add_node("mail", mail)
    graph.add_node("send", lambda state: {"log": ["send"]})
    graph.add_edge(START, "a")
    graph.add_edge("a", "ask")
    graph.add_edge("a", "mail")
    graph.add_edge(["ask", "mail"], "send")
    graph.add_edge("send", END)
    app = graph.compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    app.invoke({"draft": "Dear A"}, config)
    return app, config, sent


def state(app, config, sent):
    now = app.get_state(config)
    return now.next, now.values["log"], len(sent)


app, config, sent = waiting_thread()
seen = {"waiting": state(app, config, sent)}
app.invoke(Command(resume="yes"), config)
seen["answered without an edit"] = state(app, config, sent)

app, config, sent = waiting_thread()
app.update_state(config, {"draft": "Dear B"})
seen["edited"] = state(app, config, sent)
app.invoke(Command(resume="yes"), config)
seen["edited, answered"] = state(app, config, sent)

app, config, sent = waiting_thread()
app.update_state(config, {"draft": "Dear B"}, as_node="ask")
seen["edited as ask"] = state(app, config, sent)
app.invoke(None, config)
seen["edited as ask, gone on"] = state(app, config, sent)

for when, what in seen.items():
    print(f"{when}: {what}")
assert seen == {
    "waiting": (("ask",), ["a", "mail"], 1),
    "answered without an edit": ((), ["a", "ask: yes", "mail", "send"], 1),
    "edited": (("ask", "mail"), ["a"], 1),
    "edited, answered": ((), ["a", "ask: yes", "mail", "send"], 2),
    "edited as ask": ((), ["a"], 1),
    "edited as ask, gone on": ((), ["a"], 1),
}, "LangGraph does something else now"
PYTHON
"$folder/venv/bin/python" "$folder/edit.py"
