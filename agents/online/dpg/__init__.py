"""Deterministic policy gradients: what DDPG, TD3 and the offline agents around TD3 share.

`core` has the learner, `steps` its three steps, `pull` the slot for what an actor is pulled toward,
`agent` binds them to an environment's spaces.
"""
