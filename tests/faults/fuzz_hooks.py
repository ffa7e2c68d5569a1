"""Hooks for what the schema does not say of a valid request."""

from typing import Any

import schemathesis


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Remove what makes a request invalid that fits the schema.

    The fuzzer cannot generate a valid cursor, and not every ranking has `distinct`.
    """
    fits = case.meta is not None and case.meta.generation.mode.is_positive
    if fits and isinstance(case.body, dict):
        case.body.pop("cursor", None)
        case.body.pop("distinct", None)
