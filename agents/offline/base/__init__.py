"""What agents that learn from a dataset share: minibatches, scaling, the count of updates.

An agent of this kind is an `Algorithm`, as the replay-based ones are: how it starts, acts and takes
one gradient step. `config` loads no jax.
"""
