"""Build platforms: from job records, from ATLAS's tables of sites and links, or a grid like WLCG.

What of a platform is estimated, and how, is said in its `notes`.
"""

from gridtwin.sim.builders.atlas import from_atlas
from gridtwin.sim.builders.records import from_records
from gridtwin.sim.builders.speeds import Speeds, relative_speeds
from gridtwin.sim.builders.wlcg import wlcg

__all__ = ["Speeds", "from_atlas", "from_records", "relative_speeds", "wlcg"]
