"""Reference returns: 100 * (return - minimum) / (maximum - minimum).

The pairs are D4RL's (Farama-Foundation/D4RL: d4rl/infos.py): random and expert return, the same for
every level and version of an environment. A score on data that is not D4RL's may be scaled by them,
but never stands in one table with D4RL's: the dataset's family travels with the result.
"""

from __future__ import annotations

Reference = tuple[float, float]

REFERENCES: dict[str, Reference] = {
    "halfcheetah": (-280.178953, 12135.0),
    "hopper": (-20.272305, 3234.3),
    "walker2d": (1.629008, 4592.3),
    "ant": (-325.6, 3879.7),
    "antmaze": (0.0, 1.0),
    "maze2d-umaze": (23.85, 161.86),
    "maze2d-medium": (13.13, 277.39),
    "maze2d-large": (6.7, 273.99),
    "maze2d-umaze-dense": (68.537689, 193.66285642381482),
    "maze2d-medium-dense": (44.264742, 297.4552547777125),
    "maze2d-large-dense": (30.569041, 303.4857382709002),
    "kitchen": (0.0, 4.0),
    "pen": (96.262799, 3076.8331017826877),
    "door": (-56.512833, 2880.5693087298737),
    "hammer": (-274.856578, 12794.134825156867),
    "relocate": (-6.425911, 4233.877797728884),
    # Not D4RL's: 1,000 episodes of uniform actions, and about what the suite's SAC ends at.
    "pendulum": (-1240.0, -150.0),
}


def reference(name: str) -> Reference | None:
    """The pair of a D4RL dataset or of a task by its name, the longest that fits."""
    words = name.lower().removesuffix("-v0").removesuffix("-v1").removesuffix("-v2").split("-")
    dense = "-dense" if "dense" in words else ""
    for size in (2, 1):
        for key in ("-".join(words[:size]) + dense, "-".join(words[:size])):
            if key in REFERENCES:
                return REFERENCES[key]
    return None
