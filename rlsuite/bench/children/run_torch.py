"""TD3+BC as a plain loop in PyTorch, as its authors wrote theirs. `python run_torch.py ORDER`.

The same data, sizes and settings as ours; autograd in eager mode, Adam of torch.optim.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from serve import serve_rate
from walk import steps


def columns(order: dict[str, Any], torch: Any) -> tuple[Any, ...]:
    """obs, action, reward, next_obs, what the future counts; observations standardised."""
    found = steps(order)
    obs, after = found["observations"], found["next_observations"]
    mean, deviation = obs.mean(0), obs.std(0) + 1e-3
    ends = 0.99 * (1 - found["terminals"][:, None].astype(np.float32))
    kept = (obs - mean) / deviation, found["actions"], found["rewards"][:, None]
    return tuple(torch.from_numpy(x) for x in (*kept, (after - mean) / deviation, ends))


def networks(order: dict[str, Any], torch: Any) -> tuple[Any, Any]:
    """The actor and two critics, 256-256."""
    nn = torch.nn

    def mlp(inputs: int, outputs: int, *last: Any) -> Any:
        return nn.Sequential(
            nn.Linear(inputs, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(),
            nn.Linear(256, outputs), *last,
        )  # fmt: skip

    both = order["obs"] + order["action"]
    critics = nn.ModuleList([mlp(both, 1), mlp(both, 1)])
    return mlp(order["obs"], order["action"], nn.Tanh()), critics


class Learner:
    """Networks, their targets and optimisers."""

    def __init__(self, order: dict[str, Any], torch: Any) -> None:
        self.torch, self.data = torch, columns(order, torch)
        self.actor, self.critics = networks(order, torch)
        self.targets = copy.deepcopy(self.actor), copy.deepcopy(self.critics)
        self.steps = [torch.optim.Adam(n.parameters(), 3e-4) for n in (self.actor, self.critics)]

    def q(self, critics: Any, obs: Any, action: Any) -> list[Any]:
        """Both values.

        Args:
          critics: the two learned ones or their targets.
          obs: [b, obs].
          action: [b, action].

        Returns:
          Two of [b, 1].
        """
        both = self.torch.cat([obs, action], 1)
        return [critic(both) for critic in critics]

    def update(self, count: int) -> None:
        """One gradient step; the actor's every second time."""
        torch = self.torch
        index = torch.randint(0, len(self.data[0]), (256,))
        obs, action, reward, after, future = (column[index] for column in self.data)
        with torch.no_grad():
            noise = (torch.randn_like(action) * 0.2).clamp(-0.5, 0.5)
            then = (self.targets[0](after) + noise).clamp(-1, 1)
            target = reward + future * torch.minimum(*self.q(self.targets[1], after, then))
        loss = sum(((q - target) ** 2).mean() for q in self.q(self.critics, obs, action))
        self.descend(1, loss)
        if count % 2 == 0:
            chosen = self.actor(obs)
            q = self.critics[0](torch.cat([obs, chosen], 1))
            scale = 2.5 / q.abs().mean().detach()
            self.descend(0, -scale * q.mean() + ((chosen - action) ** 2).mean())
            self.follow()

    def descend(self, which: int, loss: Any) -> None:
        """Adam on the actor (0) or the critics (1)."""
        self.steps[which].zero_grad()
        loss.backward()
        self.steps[which].step()

    def follow(self) -> None:
        """Polyak averages."""
        with self.torch.no_grad():
            for slow, net in zip(self.targets, (self.actor, self.critics), strict=True):
                for old, new in zip(slow.parameters(), net.parameters(), strict=True):
                    old.mul_(0.995).add_(0.005 * new)


def prepare(order: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """A function that takes two gradient steps, one of them the actor's too, and how many."""
    torch = importlib.import_module("torch")
    if order["way"] == "per-core":
        torch.set_num_threads(1)
    torch.manual_seed(order["seed"])
    learner = Learner(order, torch)

    def run() -> None:
        for count in range(2):
            learner.update(count)

    run()
    return run, 2


if __name__ == "__main__":
    serve_rate(prepare, ["torch", "numpy"])
