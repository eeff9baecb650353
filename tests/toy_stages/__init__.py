"""Agents for tests of stages: one that makes a rule, one that learns by it."""
