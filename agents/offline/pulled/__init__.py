"""TD3 on a dataset with an actor that is pulled somewhere: what TD3+BC, ReBRAC, PRDC and A2PR
share. `rlsuite.agents.online.dpg.pull` is the slot they differ in. `config` loads no jax."""
