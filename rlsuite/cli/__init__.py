"""The command line. Argument checks load neither jax nor an environment."""
