"""The light rows of the suite's own agents."""

from rlsuite.registry import AgentRow

ROWS = [
    AgentRow(
        name="ppo",
        module="rlsuite.agents.online.ppo",
        summary="Proximal Policy Optimization: clip, KL, DPO or MDPO drift; MLP, CNN or GRU",
    ),
    AgentRow(
        name="mdpo",
        module="rlsuite.agents.online.mdpo",
        summary="Mirror Descent Policy Optimization, on-policy: m steps under KL(new || old)",
    ),
    AgentRow(
        name="trpo",
        module="rlsuite.agents.online.trpo",
        summary="Trust Region Policy Optimization: natural gradient, KL bound, line search",
    ),
    AgentRow(
        name="mdpo-off",
        module="rlsuite.agents.online.mdpo_off",
        summary="Mirror Descent Policy Optimization, off-policy: KL or Tsallis; contains SAC",
        actions=("box",),
    ),
    AgentRow(
        name="sac",
        module="rlsuite.agents.online.sac",
        summary="Soft Actor-Critic: entropy bonus, learned temperature; continuous or discrete",
    ),
    AgentRow(
        name="td3",
        module="rlsuite.agents.online.td3",
        summary="Twin Delayed DDPG: smaller of two critics, smoothed target, delayed actor",
        actions=("box",),
    ),
    AgentRow(
        name="ddpg",
        module="rlsuite.agents.online.ddpg",
        summary="Deep Deterministic Policy Gradient: one critic, plain targets",
        actions=("box",),
    ),
]
