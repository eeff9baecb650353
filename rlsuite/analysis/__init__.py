"""Statistics, figures, tables and reports, all redrawn from the store in seconds and without jax.

This package imports nothing: polars comes with the modules that read tables, matplotlib with those
that draw.
"""
