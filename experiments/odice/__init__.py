"""ODICE's table on D4RL."""
