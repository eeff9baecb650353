"""The smallest offline agent, for tests only: behaviour cloning of a dataset's actions."""
