"""The learners that several agents share; an agent's own folder says only what differs.

`config` and `on_policy_config` hold the settings and load no jax.
"""
