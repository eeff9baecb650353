"""Agents: a folder for each algorithm, which says what differs; `cores` is what several share."""
