"""Offline datasets: D4RL's HDF5 files, Minari folders, npz, and sets the suite records itself.

`registry` has the names and loads nothing; `source` is what the engine calls (`resolve`, `load`);
`formats` reads and writes files; `view` makes the `rlsuite.data.dataset.Dataset` that agents see;
`scores` normalises returns. Nothing is ever downloaded.
"""
