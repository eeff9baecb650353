"""What `rlsuite dataset --help` and its commands' say."""

from __future__ import annotations

USAGE = """usage: rlsuite dataset COMMAND [--help]

  inspect    sizes, returns, normalised score, what is wrong; draw the returns
  convert    D4RL's HDF5 <-> Minari folder <-> npz; clip actions, leave out bad rows
  collect    record a new one with a trained policy, several, or at random
  mix        one out of several, or of parts of them

example:
  rlsuite dataset inspect pendulum-replay --figures ."""
INSPECT = """example:
  rlsuite dataset inspect data/hopper_medium-v2.hdf5 --figures figures
  rlsuite dataset inspect hopper-medium-v2 --dataset-dir data

Nothing is downloaded: D4RL's names are files in --dataset-dir."""
CONVERT = """example:
  rlsuite dataset convert data/hopper_medium-v2.hdf5 data/hopper-medium
  rlsuite dataset convert raw.npz clean.npz --clip-actions --env mujoco:Hopper-v4

TARGET ends in .hdf5 (D4RL's layout) or .npz, or has no ending (a Minari folder).

What a file of your own must hold, of as many rows as there are steps, in the order taken:
  observations       (n, size), numbers
  actions            (n, size), floating-point numbers; or (n,), integers: indices
  rewards            (n,)
  terminals          (n,), 0 or 1: the episode ended there and nothing can follow
  timeouts           (n,), 0 or 1: a time limit or the recorder cut it there; .hdf5 may leave it
                     out, time limits are then counted from the length of episodes
  next_observations  (n, size), what each step led to; .hdf5 may leave it out, it is then the next
                     row's observation
  next_obs_valid     (n,), 0 where next_observations is not known; may be left out
Of itself it may say: `env` (attribute env_id in .hdf5), the environment's id, and `score`
(ref_min_score and ref_max_score), the two returns that count as 0 and 100."""
COLLECT = """example:
  rlsuite dataset collect data/random --env Pendulum-v1 --steps 20000
  rlsuite dataset collect data/mixed --env Pendulum-v1 --steps 100000 --mode explore \\
    --policy runs/a/cells/1f0c.done --policy runs/a/cells/77ab.done

TARGET is a folder in Minari's format. The same command goes on where it was stopped (Ctrl-C)."""
MIX = """example:
  rlsuite dataset mix data/hopper-medium-expert.hdf5 hopper-medium-v2 hopper-expert-v2
  rlsuite dataset mix data/mixed.npz data/random.npz data/expert.npz:0.1

TARGET ends in .hdf5 or .npz, or has no ending (a Minari folder). A share takes whole episodes."""
# What each command does, and what its help ends in.
COMMANDS = {
    "inspect": (
        "Say what a dataset holds, what its episodes return, and what training would refuse.",
        INSPECT,
    ),
    "convert": (
        "Write a dataset in another layout, repaired where asked; the source stays as it is.",
        CONVERT,
    ),
    "collect": (
        "Record a new dataset by playing, and keep what is recorded when stopped.",
        COLLECT,
    ),
    "mix": (
        "Write whole episodes of several datasets of one environment and family into one.",
        MIX,
    ),
}
