"""Learning to schedule: environments on the batch machine.

Importing this package imports neither gymnasium nor torch; `gridtwin.policy.rl.envs` does.
"""
