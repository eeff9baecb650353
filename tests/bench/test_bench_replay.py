"""`rlsuite bench replay`: who runs what, and that ours runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlsuite.bench import offline, race, replay
from rlsuite.bench.children.run_replay import prepare
from rlsuite.bench.contenders import CHILDREN


def test_everyone_has_the_same_order():
    work = replay.Working(workers=2)
    ours, documented, per_core = race.contenders(
        work, "sac", Path("python"), {"sbx": replay.RIVALS["sbx"]}
    )
    assert [len(c.commands) for c in (ours, documented, per_core)] == [2, 1, 2]
    assert "OMP_NUM_THREADS" not in documented.env
    theirs, mine = (json.loads(c.commands[0][-1]) for c in (per_core, ours))
    assert theirs == mine
    assert Path(per_core.commands[0][1]).is_file()
    for rival in (*replay.RIVALS.values(), *offline.RIVALS.values()):
        assert (CHILDREN / f"{rival.child}.py").is_file()


@pytest.mark.parametrize("agent", ["td3"])
def test_ours_runs(agent):
    work = replay.Working(steps=3, prefill=300, buffer=400)
    run, count = prepare(json.loads(work.orders(agent, "per-core")[0]))
    assert (run(), count) == (None, 3)
