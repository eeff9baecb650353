"""The engine: cells, their store, the workers that claim and run them. See design section 3."""
