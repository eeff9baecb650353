"""PPO on MinAtar with gymnax-blines' settings, beside its published single-seed values."""
