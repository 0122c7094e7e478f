"""An index of what threads' metadata holds, kept by triggers, and the queries that use it.

A row of `thread_metadata` is one pair of a thread's metadata, to which the thread's agent belongs
as `graph_id`. The rows of a pair lie in the order in which their threads were last used, so that a
search reads about as many rows as it answers.
"""

from __future__ import annotations

PAIR_LENGTH = 200
"""Characters of a pair that are indexed; longer ones are compared in the thread itself."""
COUNT_LIMIT = 1000
"""Threads of a pair that are counted at most, to find the rarest of several pairs."""

_PAIR = f"substr(json_array(pair.key, pair.type, pair.value), 1, {PAIR_LENGTH})"
_WHOLE = "json_patch({0}.metadata, json_object('graph_id', {0}.agent))"
_ADD = (
    "INSERT OR IGNORE INTO thread_metadata (tenant, pair, updated_at, thread_id) "
    f"SELECT new.tenant, {_PAIR}, new.updated_at, new.thread_id "
    "FROM {}json_each(" + _WHOLE.format("new") + ") AS pair"
)
_REMOVE = (
    "DELETE FROM thread_metadata WHERE tenant = old.tenant AND updated_at = old.updated_at "
    f"AND thread_id = old.thread_id AND pair IN (SELECT {_PAIR} "
    f"FROM json_each({_WHOLE.format('old')}) AS pair)"
)
METADATA_INDEX = (
    "CREATE TABLE thread_metadata (tenant TEXT NOT NULL, pair TEXT NOT NULL, "
    "updated_at REAL NOT NULL, thread_id TEXT NOT NULL, "
    "PRIMARY KEY (tenant, pair, updated_at DESC, thread_id)) WITHOUT ROWID",
    f"CREATE TRIGGER threads_added AFTER INSERT ON threads BEGIN {_ADD.format('')}; END",
    f"CREATE TRIGGER threads_deleted AFTER DELETE ON threads BEGIN {_REMOVE}; END",
    "CREATE TRIGGER threads_changed AFTER UPDATE OF agent, metadata, updated_at ON threads "
    f"BEGIN {_REMOVE}; {_ADD.format('')}; END",
    _ADD.format("threads AS new, "),
)
"""Makes the index, with the threads that there are."""

LIST_PAIRS = (
    f"SELECT {_PAIR}, length({_PAIR}) < {PAIR_LENGTH} AND type != 'real' FROM json_each(?) AS pair"
)
"""The pairs of a JSON object as they are indexed; each with whether the index tells it exactly."""
COUNT_THREADS = (
    "SELECT count(*) FROM (SELECT 1 FROM thread_metadata WHERE tenant = ? AND pair = ? "
    f"LIMIT {COUNT_LIMIT})"
)
HAS_METADATA = """
NOT EXISTS (
    SELECT 1 FROM json_each(?) AS required WHERE NOT EXISTS (
        SELECT 1 FROM json_each(json_patch(metadata, json_object('graph_id', agent))) AS own
        WHERE own.key = required.key AND own.type = required.type AND own.value IS required.value
    )
)
"""
"""A condition on `threads`: each pair of a JSON object stands in the thread's metadata."""
THREADS_OF_PAIR = (
    "SELECT thread_id FROM thread_metadata AS indexed WHERE tenant = ? AND pair = ?{} "
    "ORDER BY updated_at DESC, thread_id LIMIT ? OFFSET ?"
)
VERIFIED = (
    " AND EXISTS (SELECT 1 FROM threads WHERE threads.tenant = indexed.tenant "
    f"AND threads.thread_id = indexed.thread_id AND {HAS_METADATA})"
)
"""What is asked besides where one pair of the index is not all that is looked for."""
