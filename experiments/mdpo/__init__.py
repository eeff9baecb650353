"""Mirror Descent Policy Optimization: grids of its comparisons, published numbers."""
