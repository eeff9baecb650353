"""Agents: one folder or short file per algorithm; the difference is the file."""
