"""A2PR's table on D4RL."""
