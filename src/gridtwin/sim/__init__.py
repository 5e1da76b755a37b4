"""Run jobs on sites: platforms, policies, the compiled kernel, results."""

from gridtwin.sim.brokers import Broker
from gridtwin.sim.engine import schedule, simulate
from gridtwin.sim.platform import Platform, Site
from gridtwin.sim.policies import Backfill, Order, Policy, policies, register
from gridtwin.sim.result import Result

__all__ = [
    "Backfill",
    "Broker",
    "Order",
    "Platform",
    "Policy",
    "Result",
    "Site",
    "policies",
    "register",
    "schedule",
    "simulate",
]
