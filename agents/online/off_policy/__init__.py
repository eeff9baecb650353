"""What replay-based agents share: acting, the ring, the update-to-data ratio, normalisation.

An agent of this kind is an `Algorithm` (see `state`): how it starts, acts and takes one gradient
step. `config` loads no jax.
"""
