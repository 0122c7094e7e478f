"""Options of a model, checked: a mistake names the model and the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from config.errors import Invalid, nearest
from config.validation_words import word_error

OptionsType = TypeVar("OptionsType", bound="Options")


class Options(BaseModel):
    """Base of the options of a back end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def of(cls: type[OptionsType], owner: str, options: Mapping[str, Any]) -> OptionsType:
        """Read the options of `owner` in models.yaml. Raises `Invalid` (`model_options`)."""
        try:
            return cls.model_validate(dict(options))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            message = word_error(first)
            if first["type"] == "extra_forbidden":
                message = f"there is no such option. {nearest(field, list(cls.model_fields))}"
            raise Invalid(
                f"{owner}: options.{field}: {message}",
                code="invalid_model_options",
                details={"field": f"options.{field}"},
            ) from error
