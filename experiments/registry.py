"""The light rows of the suite's own experiments."""

from rlsuite.contracts.registry import ExperimentRow

_PACKAGE = "rlsuite.experiments"

ROWS = [
    ExperimentRow(
        "a2pr", f"{_PACKAGE}.a2pr", "A2PR on D4RL locomotion (needs the files), and its parts"
    ),
    ExperimentRow("cartpole", f"{_PACKAGE}.cartpole", "PPO on CartPole-v1, 64 seeds"),
    ExperimentRow(
        "classic_control", f"{_PACKAGE}.classic_control", "PPO and DPO on five tasks, 32 seeds"
    ),
    ExperimentRow(
        "mdpo", f"{_PACKAGE}.mdpo", "on-policy MDPO: m in 1, 5, 10, 20 on classic control, 64 seeds"
    ),
    ExperimentRow("odice", f"{_PACKAGE}.odice", "ODICE on D4RL locomotion (needs the files)"),
    ExperimentRow("offline", f"{_PACKAGE}.offline", "offline agents on pendulum-replay, 16 seeds"),
    ExperimentRow(
        "ppo_minatar",
        f"{_PACKAGE}.ppo_minatar",
        "PPO on four MinAtar games, gymnax-blines' settings",
    ),
    ExperimentRow(
        "ppo_sweep", f"{_PACKAGE}.ppo_sweep", "entropy coefficient x learning rate on CartPole-v1"
    ),
    ExperimentRow("prdc", f"{_PACKAGE}.prdc", "PRDC on D4RL locomotion (needs the files)"),
    ExperimentRow(
        "sac", f"{_PACKAGE}.sac", "SAC, MDPO off-policy and TD3 on Pendulum-v1, 16 seeds"
    ),
    ExperimentRow("thousand_seeds", f"{_PACKAGE}.thousand_seeds", "1,024 seeds in one command"),
]
