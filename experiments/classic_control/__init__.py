"""PPO and DPO on the five classic-control tasks, 32 seeds each."""
