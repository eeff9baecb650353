"""Every figure by name; each returns a matplotlib `Figure`, `save` writes it as PNG and SVG."""

from __future__ import annotations

from rlsuite.analysis.distribution import distributions
from rlsuite.analysis.dots import interval_dots
from rlsuite.analysis.heatmap import best_fields, heatmap
from rlsuite.analysis.lines import learning_curves
from rlsuite.analysis.online import online_cost
from rlsuite.analysis.profile import performance_profiles
from rlsuite.analysis.sensitivity import sensitivity
from rlsuite.analysis.style import save
from rlsuite.analysis.training import training_curves

__all__ = [
    "best_fields",
    "distributions",
    "heatmap",
    "interval_dots",
    "learning_curves",
    "online_cost",
    "performance_profiles",
    "save",
    "sensitivity",
    "training_curves",
]
