"""What if: the question to a model, and what it means for places and values of training jobs."""

from gridtwin.models.whatif.question import DAY, MOST_DAYS, Mix, Start, Value, WhatIf, Where

__all__ = ["DAY", "MOST_DAYS", "Mix", "Start", "Value", "WhatIf", "Where"]
