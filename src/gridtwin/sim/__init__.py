"""Run jobs on sites: platforms, policies, the compiled kernel, results."""

from gridtwin.sim.brokers import Broker
from gridtwin.sim.engine import schedule, simulate
from gridtwin.sim.platform import Link, Platform, Pool, Route, Site, Storage
from gridtwin.sim.policies import Backfill, Order, Policy, policies, register
from gridtwin.sim.result import Result
from gridtwin.sim.run import Simulation

__all__ = [
    "Backfill",
    "Broker",
    "Link",
    "Order",
    "Platform",
    "Policy",
    "Pool",
    "Result",
    "Route",
    "Simulation",
    "Site",
    "Storage",
    "policies",
    "register",
    "schedule",
    "simulate",
]
