"""Weighted behaviour cloning: the policy, its loss and its optimiser, as BC, IQL and ODICE share
them. `config` loads no jax."""
