"""The light rows of the suite's own agents."""

from rlsuite.contracts.registry import AgentRow

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
        name="sac-replay",
        module="rlsuite.agents.online.sac",
        summary="SAC whose product is its replay: what it recorded while it learned",
        make="agent:make_replay",
        makes="replay",
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
    AgentRow(
        name="td3-bc",
        module="rlsuite.agents.offline.td3_bc",
        summary="TD3+BC: TD3 on a dataset, its actor pulled to the data's actions",
        actions=("box",),
        data="dataset",
    ),
    AgentRow(
        name="rebrac",
        module="rlsuite.agents.offline.rebrac",
        summary="ReBRAC: TD3+BC with charges in actor and target, deep networks, LayerNorm",
        actions=("box",),
        data="dataset",
    ),
    AgentRow(
        name="a2pr",
        module="rlsuite.agents.offline.a2pr",
        summary="A2PR: TD3+BC pulled to the better of the data's action and a VAE's",
        actions=("box",),
        data="dataset",
    ),
    AgentRow(
        name="iql",
        module="rlsuite.agents.offline.iql",
        summary="Implicit Q-Learning: expectile V, advantage-weighted cloning; never asks a policy",
        actions=("box",),
        data="dataset",
    ),
    AgentRow(
        name="odice",
        module="rlsuite.agents.offline.odice",
        summary="ODICE: V by orthogonal-gradient DICE, residual-weighted cloning; no Q",
        actions=("box",),
        data="dataset",
    ),
    AgentRow(
        name="bc",
        module="rlsuite.agents.offline.bc",
        summary="Behaviour cloning, of all data or of the best trajectories (%BC)",
        actions=("box",),
        data="dataset",
    ),
    AgentRow(
        name="cql",
        module="rlsuite.agents.offline.cql",
        summary="Conservative Q-Learning: SAC on a dataset, Q pushed down off the data",
        actions=("box",),
        data="dataset",
    ),
    AgentRow(
        name="prdc",
        module="rlsuite.agents.offline.prdc",
        summary="PRDC: TD3+BC pulled to the action of the nearest row in state and action",
        actions=("box",),
        data="dataset",
    ),
]
