"""Five entropy coefficients x five learning rates x 32 seeds of PPO on CartPole: one program."""
