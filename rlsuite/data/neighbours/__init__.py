"""Nearest rows of a dataset in the space of (beta x state, action), inside a compiled program.

The question: given states and actions of a minibatch, which dataset row j makes

    d_j^2 = |beta (s - s_j)|^2 + |a - a_j|^2

smallest? (Ran et al., 2023, "Policy Regularization with Dataset Constraint for Offline
Reinforcement Learning", arXiv 2306.06569, section 4.) States are standardised, actions in [-1, 1].

Three answers with one signature, `(index, obs, action, place, beta) -> Found`:

  exact.search  every row, by matrix products that shortlist and differences that decide
  table.search  the K rows nearest in state to the query's own row, found once beforehand
  host.search   SciPy's KD-tree, outside compiled programs: the tests' oracle

The first two are pure functions of arrays: they map, scan and shard as any other, `beta` is traced,
and each says query by query whether its answer is *proved* to be the nearest. Nothing is
differentiated: inputs are stop-gradiented and a place is an integer.

    index = keys.index(data.rows.obs, data.rows.action, mean, divisor)
    index = cache.with_table(index, k=64)                      # for table.search
    found = table.search(index, obs, action, place, beta)      # in jit
"""
