"""Hooks for the fuzzer, which cannot generate a valid cursor."""

from typing import Any

import schemathesis


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Remove the cursor from a request that is valid otherwise."""
    fits = case.meta is not None and case.meta.generation.mode.is_positive
    if fits and isinstance(case.body, dict):
        case.body.pop("cursor", None)
