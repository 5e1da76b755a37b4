"""Run jobs on sites: platforms, policies, the compiled kernel, results."""

from gridtwin.sim.assemble import Rules
from gridtwin.sim.brokers import Broker
from gridtwin.sim.engine import schedule, simulate
from gridtwin.sim.faults import Failure, Faults
from gridtwin.sim.outages import Outage
from gridtwin.sim.platform import Link, Platform, Pool, Route, Site, Storage
from gridtwin.sim.policies import Backfill, Order, Policy, policies, register
from gridtwin.sim.result import Result
from gridtwin.sim.run import Simulation

__all__ = [
    "Backfill",
    "Broker",
    "Failure",
    "Faults",
    "Link",
    "Order",
    "Outage",
    "Platform",
    "Policy",
    "Pool",
    "Result",
    "Route",
    "Rules",
    "Simulation",
    "Site",
    "Storage",
    "policies",
    "register",
    "schedule",
    "simulate",
]
