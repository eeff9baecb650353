"""Gymnasium's MuJoCo tasks as pure functions (`mujoco:Hopper-v5`), in their v4 and v5 definitions.

`specs` says in plain numbers what there is; `runners`, `ant`, `humanoids`, `arms` and `pendulums`
define observations, rewards and ends on any array module; `engine` steps MuJoCo's C library on the
host; `env` is the environment that agents see.
"""
