"""PPO on CartPole-v1 with PureJaxRL's settings: the README's main job on more seeds."""
