"""Platforms, jobs and results in the file formats of other simulators, a module each."""
