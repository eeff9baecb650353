"""Agents that learn from a dataset and never act while they learn."""
