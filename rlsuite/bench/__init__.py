"""Speed, always as a ratio in one run: absolute rates on shared machines mean little."""
