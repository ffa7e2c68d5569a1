"""A lease that at most one holder has at a time: a row with an expiry, no session."""

import uuid
from dataclasses import dataclass, field

from app.storage import backfill_queries as queries
from app.storage.connection.transaction import Transaction


@dataclass(frozen=True)
class Lease:
    """One holder's side of the lease `name`."""

    name: str
    lease_s: float
    holder: uuid.UUID = field(default_factory=uuid.uuid4)

    def is_taken(self, transaction: Transaction) -> bool:
        """Whether somebody else holds it now. Writes nothing."""
        return bool(transaction.rows(queries.LEASE_IS_TAKEN, self._parameters())[0][0])

    def take(self, transaction: Transaction) -> bool:
        """Take or renew it; False when somebody else holds it."""
        return transaction.execute(queries.TAKE_LEASE, self._parameters()) == 1

    def release(self, transaction: Transaction) -> None:
        """Give it back, if it is still held."""
        transaction.execute(queries.RELEASE_LEASE, self._parameters())

    def _parameters(self) -> dict[str, object]:
        return {
            "name": self.name,
            "holder": str(self.holder),
            "lease_s": self.lease_s,
        }
