"""Every figure by name; each returns a matplotlib `Figure`, `save` writes it as PNG and SVG."""

from __future__ import annotations

from rlsuite.analysis.figures.distribution import distributions
from rlsuite.analysis.figures.dots import interval_dots
from rlsuite.analysis.figures.heatmap import best_fields, heatmap
from rlsuite.analysis.figures.lines import learning_curves
from rlsuite.analysis.figures.online import online_cost
from rlsuite.analysis.figures.profile import performance_profiles
from rlsuite.analysis.figures.sensitivity import sensitivity
from rlsuite.analysis.figures.style import save
from rlsuite.analysis.figures.training import training_curves

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
