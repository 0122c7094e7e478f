"""Options of a model, checked: a mistake names the model and the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from config.errors import Invalid, nearest

Given = TypeVar("Given", bound="Options")


class Options(BaseModel):
    """Base of the options of a back end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def of(cls: type[Given], owner: str, given: Mapping[str, Any]) -> Given:
        """Check the options of `owner`. Raises `Invalid` (`invalid_model_options`)."""
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            message = first["msg"].removeprefix("Value error, ")
            if first["type"] == "extra_forbidden":
                message = f"there is no such option. {nearest(field, list(cls.model_fields))}"
            raise Invalid(
                f"{owner}: options.{field}: {message}",
                code="invalid_model_options",
                details={"field": f"options.{field}"},
            ) from error
