"""The batch machine: queueing policies on one machine, many short sequences of jobs."""
