"""1,024 seeds of PPO on CartPole in one command."""
