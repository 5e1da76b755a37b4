"""Schedulers trained on generated jobs, beside those trained on the real ones."""

from gridtwin.study.transfer.plan import MODELS, Plan
from gridtwin.study.transfer.run import transfer

__all__ = ["MODELS", "Plan", "transfer"]
