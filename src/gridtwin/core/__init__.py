"""What every other package needs and that knows nothing of jobs."""
