"""Environments: one adapter per simulator, own environments, wrappers and datasets."""
