"""What the fuzzer cannot know: no cursor can be made up, only taken from an answer."""

from typing import Any

import schemathesis


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Leaves the cursor out of a request that fits the document otherwise."""
    fits = case.meta is not None and case.meta.generation.mode.is_positive
    if fits and isinstance(case.body, dict):
        case.body.pop("cursor", None)
