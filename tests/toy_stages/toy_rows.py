"""The rows of the tests' agents that make something for one another."""

from rlsuite.contracts.registry import AgentRow, Input

ROWS = [
    AgentRow(
        name="toy-rule", module="toy_stages", summary="a step size found by descent, for tests",
        config="toy_settings:RuleConfig", make="toy_agents:make_rule", makes="toy-rule", budget=240,
    ),
    AgentRow(
        name="toy-student", module="toy_stages", summary="learns with a rule's step, for tests",
        config="toy_settings:StudentConfig", make="toy_agents:make_student",
        inputs=(Input("rule", "toy-rule", "toy-rule"),),
    ),
    AgentRow(
        name="toy-population", module="toy_stages", summary="rules side by side, for tests",
        config="toy_settings:PopulationConfig", make="toy_agents:make_population",
        makes="toy-rule", budget=240,
    ),
]  # fmt: skip
