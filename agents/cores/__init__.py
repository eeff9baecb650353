"""The learners that several agents share; an agent's own folder says only what differs.

`off_policy` learns from minibatches, whatever brings them: a replay (`replay_source`), a dataset
(`dataset_source`) or both. `dpg`, `sac` and `cloning` are the algorithms that agents on it share;
`on_policy` learns from rollouts, `separate` fits policy and value function by optimisers of their
own. `config` and `on_policy_config` hold the settings and load no jax.
"""
