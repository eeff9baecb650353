"""Online agents: they learn from the environment they act in."""
