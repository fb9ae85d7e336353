"""What a sample did to the network on chip."""

from __future__ import annotations

import numpy as np

from hwsim.kernels.noc_tables import EW, LOCAL, NS, NocTables

DIRECTIONS = {"flit_ew": EW, "flit_ns": NS, "flit_local": LOCAL}
_DIRECTION_COLUMN = 4


def flits_by_direction(tables: NocTables, flits: np.ndarray) -> dict[str, int]:
    """Flits over links along rows, along columns, and to cores; ``flits`` int64 [routers, ports, channels]."""
    each = flits.sum(axis=2).reshape(-1)
    return {name: int(each[tables.link[:, _DIRECTION_COLUMN] == side].sum()) for name, side in DIRECTIONS.items()}
