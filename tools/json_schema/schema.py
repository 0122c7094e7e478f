"""A JSON schema from outside, and the checking of values against it.

Invariants: checking fetches nothing, and takes a bounded number of steps, whatever the schema and
the value hold. What takes more than a moment leaves the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from config.steps import STEPS, TooManySteps, counting, run_counted
from tools.json_schema.keywords import CountingValidator
from tools.json_schema.references import find_problem

Result = TypeVar("Result")

STEPS_ON_LOOP = 5_000
"""Some 20 ms; a check that takes more is begun anew in a thread."""
MAX_STEPS = 500_000
MAX_ERRORS = 3
"""Of a value, that are told at once."""


async def run_checks(work: Callable[[], Result]) -> Result:
    """Run work that may check values with `find_error_here`; long checks leave the event loop.

    The work may be called twice. Raises what it raises.
    """
    return await run_counted(work, STEPS_ON_LOOP, MAX_STEPS)


@dataclass(frozen=True)
class JsonSchema:
    """A schema that values must fit. Where `problem` has words, it must not be used."""

    schema: Mapping[str, Any]

    def problem(self) -> str | None:
        """Return why this is no usable schema; None where it is one. Blocks for a large one."""
        try:
            if problem := find_problem(self.schema):
                return problem
            Draft202012Validator.check_schema(self._without_dialect)
        except SchemaError as error:
            return f"this is no JSON schema: {error.message[:300]}"
        except RecursionError:
            return "this JSON schema is nested too deeply."
        return None

    async def find_error(self, value: Any) -> ValidationError | None:
        """Return what of a value does not fit, the first that matters; None where all of it does.

        Long checks run in a thread.
        """
        try:
            return await run_checks(lambda: self._check(value))
        except TooManySteps:
            return _too_much_work()

    async def find_errors(self, value: Any) -> list[ValidationError]:
        """Return the first `MAX_ERRORS` of what does not fit, in the order of the schema.

        Long checks run in a thread.
        """
        try:
            return await run_checks(lambda: self._check_all(value))
        except TooManySteps:
            return [_too_much_work()]

    def find_error_here(self, value: Any) -> ValidationError | None:
        """Return what `find_error` does. Blocks, up to seconds for the largest values.

        Within `run_checks` it spends that one's steps, and raises `TooManySteps` where the work is
        to be begun anew in a thread.
        """
        steps = STEPS.get(None)
        if steps is None:
            with counting(MAX_STEPS):
                return self.find_error_here(value)
        try:
            return self._check(value)
        except TooManySteps:
            if not steps.is_final:
                raise
            return _too_much_work()

    def _check(self, value: Any) -> ValidationError | None:
        error: ValidationError | None = best_match(self._iterate(value))
        return error

    def _check_all(self, value: Any) -> list[ValidationError]:
        # Of a choice, `best_match` returns the error of the option that was meant.
        first = islice(self._iterate(value), MAX_ERRORS)
        return [error for each in first if (error := best_match([each]))]

    def _iterate(self, value: Any) -> Iterator[ValidationError]:
        try:
            yield from self._validator.iter_errors(value)
        except RecursionError:
            yield ValidationError("the value is nested too deeply.")
        except Unresolvable as unresolvable:
            yield ValidationError(f"the schema cannot be used: {unresolvable}")

    @cached_property
    def _without_dialect(self) -> dict[str, Any]:
        # The library would take another validator for `$schema`, one that counts nothing.
        return {name: part for name, part in self.schema.items() if name not in ("$schema", "$id")}

    @cached_property
    def _validator(self) -> Any:
        # An empty registry: the default one would fetch references from the network.
        return CountingValidator(self._without_dialect, registry=Registry())


def _too_much_work() -> ValidationError:
    return ValidationError("the value takes too much work to be checked by this schema.")
