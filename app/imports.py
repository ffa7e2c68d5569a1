"""Importing fast: a process that starts builds what a first request may never need."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import BaseModel


@contextmanager
def hasty_imports() -> Iterator[None]:
    """For the imports and the wiring of the service: a seventh of the start.

    Validators are built when they are first used; FastAPI has many that only the
    OpenAPI document needs. What is alive at the end stays: the collector neither looks
    for garbage meanwhile nor walks through it later.
    """
    BaseModel.model_config["defer_build"] = True
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        del BaseModel.model_config["defer_build"]
