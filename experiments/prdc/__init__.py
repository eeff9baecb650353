"""PRDC's table on D4RL."""
