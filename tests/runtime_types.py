"""The type checker that `conftest.py` installs on every function of the suite."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

# An int where a float is annotated is fine for Python and for pyright; so it is here.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
