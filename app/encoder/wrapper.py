"""The base of encoders that wrap another one."""

from typing import Generic, Protocol, TypeVar


class Described(Protocol):
    """A model's name and the length of its embeddings, as `Encoder` has them."""

    @property
    def version(self) -> str: ...

    @property
    def dimension(self) -> int: ...


Wrapped = TypeVar("Wrapped", bound=Described)


class EncoderWrapper(Generic[Wrapped]):
    """Has the version and the dimension of the encoder that it wraps."""

    def __init__(self, encoder: Wrapped) -> None:
        self._encoder = encoder

    @property
    def version(self) -> str:
        """As `Encoder.version`."""
        return self._encoder.version

    @property
    def dimension(self) -> int:
        """As `Encoder.dimension`."""
        return self._encoder.dimension
