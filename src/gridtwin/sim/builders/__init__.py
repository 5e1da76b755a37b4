"""The builders of `gridtwin.sim.build`, one file each."""
