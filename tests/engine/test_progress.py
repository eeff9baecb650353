"""What the parent makes of its workers' events."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from tiny import tiny_cells

from rlsuite.engine.launch.progress import Progress, Tally, duration


def tally() -> Tally:
    """Three cells of 384 steps, the first finished by an earlier command."""
    cells = tiny_cells(seeds=3)
    return Tally({cell.id: cell for cell in cells}, {cells[0].id})


def test_steps_rate_and_time_left_add_up() -> None:
    t = tally()
    _, second, third = t.cells
    assert (t.total_steps(), t.done_steps(), t.seconds_left()) == (1152, 384, None)
    for cell in (second, third):
        t.take(0, {"event": "start", "cell": cell})
        t.take(0, {"event": "progress", "cell": cell, "steps": 96, "ret": 20.0, "rate": 48.0})
    assert (t.done_steps(), t.rate(), t.seconds_left()) == (576, 96.0, 6.0)
    t.take(0, {"event": "done", "cell": second, "ret": 30.0})
    assert (t.done_steps(), t.rate()) == (864, 48.0)
    assert t.returns == [30.0]


def test_news_are_said_and_the_rest_is_not() -> None:
    t = tally()
    cell = list(t.cells)[1]
    assert t.take(0, {"event": "start", "cell": cell}) is None
    assert "GiB" in str(t.take(0, {"event": "estimate", "bytes": 2**30}))
    assert t.take(1, {"event": "estimate", "bytes": 2**30}) is None
    assert "NaN" in str(t.take(0, {"event": "nan", "cell": cell, "ret": None}))
    assert "ppo on CartPole-v1, seed 1 failed: boom" in str(
        t.take(0, {"event": "failed", "cell": cell, "error": "boom"})
    )
    hung = t.take(0, {"event": "hung", "cell": cell, "seconds": 61.0})
    assert "hardly used the CPU" in str(hung)
    killed = t.take(2, {"event": "died", "code": -9, "cell": cell, "restarted": False, "text": "x"})
    assert killed == (
        "worker 2 was killed by SIGKILL (out of memory?) in ppo on CartPole-v1, seed 1: given up, "
        "its last words: x"
    )
    assert "started again" in str(
        t.take(0, {"event": "died", "cell": cell, "code": -9, "restarted": True})
    )
    inside = {"event": "failed", "cell": cell, "error": "ValueError: joint 3 broke",
              "inside": "gym:Robot-v0", "text": "run/logs/1.txt"}  # fmt: skip
    assert t.take(0, inside) == (
        "ppo on CartPole-v1, seed 1 failed in the environment gym:Robot-v0: "
        "ValueError: joint 3 broke (the whole text: run/logs/1.txt)"
    )
    assert (t.nan, list(t.failed)) == (1, [cell])


def test_a_terminal_sees_runs_and_a_log_sees_news() -> None:
    for terminal in (True, False):
        text = io.StringIO()
        console = Console(file=text, force_terminal=terminal, width=100)
        t = tally()
        cell = list(t.cells)[1]
        with Progress(t, console) as progress:
            progress.on_event(0, {"event": "start", "cell": cell})
            progress.on_event(
                0, {"event": "progress", "cell": cell, "steps": 96, "ret": 21.5, "rate": 48.0}
            )
            console.print(progress._render())
            progress.on_event(0, {"event": "failed", "cell": cell, "error": "boom"})
        assert "96/384" in text.getvalue()
        assert "21.5" in text.getvalue()
        assert "0:06" in text.getvalue()
        assert "boom" in text.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "?"), (0.2, "0:00"), (61, "1:01"), (3661, "1:01:01")]
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
