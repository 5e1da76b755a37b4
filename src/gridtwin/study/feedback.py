"""Introspection: the monitoring of a window teaches the model that makes the next one."""

from collections.abc import Callable
from typing import Any

from gridtwin.core.errors import InputError
from gridtwin.sim import Result
from gridtwin.study.spec import Feedback, Scenario
from gridtwin.study.world import Setting

__all__ = ["run_windows"]


def run_windows(
    table: Feedback,
    setting: Setting,
    scenario: Scenario,
    seed: int,
    simulate: Callable[[Setting, Scenario, int], Result],
) -> tuple[list[Result], tuple[dict[str, Any], ...]]:
    """Return the windows' results and how far each has drifted."""
    raise InputError("feedback is not there yet")
