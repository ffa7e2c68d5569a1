"""One look at a deployment: what is wrong, and the command that fixes it."""

from app.ops.doctor.examination import Examination, Scope, examine
from app.ops.doctor.finding import Finding

__all__ = ["Examination", "Finding", "Scope", "examine"]
