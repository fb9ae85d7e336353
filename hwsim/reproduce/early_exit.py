"""DT-SNN's 46.5 %: what mean number of timesteps it implies, and what a fixed weight fetch leaves of it."""

from __future__ import annotations

from hwsim.reproduce.figures import figure_4b_energy
from hwsim.reproduce.shapes import published
from hwsim.reproduce.target import Beside, Measured, Target, Tolerance


def targets() -> list[Target]:
    """The proportional reading, and the tick-batched one beside it."""
    data = published()["dt_snn"]
    common = {
        "paper": published()["paper"], "place": "Section IV and Fig. 4b", "published": data["saving"], "unit": "%",
        "workload": published()["figure_4b"]["workload"],
    }  # fmt: skip
    what = "energy that exits after 2.14 of 4 timesteps save"
    return [
        Target("dt-snn.proportional", what=f"{what}, energy proportional to timesteps",
               tolerance=Tolerance("absolute", 0.2), run=_proportional, options="1 - 2.14 / 4",
               assumptions=("2.14 is printed for another network on another machine (VGG16, TinyImageNet, SpikeSim): "
                            "a coincidence until confirmed",
                            "time outermost over the whole network: everything is fetched in every timestep"),
               **common),
        Target("dt-snn.tick-batch", what=f"{what}, tick-batched energy a + b T", tolerance=Tolerance("absolute", 0.2),
               run=_tick_batch, options="rule set of Fig. 4b",
               assumptions=("a fictitious case: layer-wise tick-batching ends all timesteps of layer 1 before layer 2 "
                            "starts, so that it cannot exit",), **common),
    ]  # fmt: skip


def _proportional() -> Measured:
    data = published()["dt_snn"]
    implied = data["timesteps"] * (1 - data["saving"] / 100)
    best = 100 * (1 - data["best_mean_timesteps"] / data["timesteps"])
    return Measured(
        100 * (1 - data["mean_timesteps"] / data["timesteps"]),
        trend=True,
        beside=(
            Beside("mean timesteps that the published saving implies", data["mean_timesteps"], implied, "1"),
            Beside("saving at 1.46 timesteps, the best mean that DT-SNN's abstract gives", None, best, "%"),
        ),
    )


def _tick_batch() -> Measured:
    data = published()["dt_snn"]
    first, last = (figure_4b_energy("tick-batch", timesteps).total_J for timesteps in (1, data["timesteps"]))
    slope = (last - first) / (data["timesteps"] - 1)
    fixed = first - slope

    def saved(mean: float) -> float:
        return 100 * (1 - (fixed + slope * mean) / last)

    needed = (last * (1 - data["saving"] / 100) - fixed) / slope
    return Measured(
        saved(data["mean_timesteps"]),
        trend=saved(data["mean_timesteps"]) > 0,
        beside=(
            Beside("share of the energy at T=4 that does not depend on T", None, 100 * fixed / last, "%"),
            Beside("saving at 1.46 timesteps", None, saved(data["best_mean_timesteps"]), "%"),
            Beside("mean timesteps that 46.5 % would need (below 1: impossible)", None, needed, "1"),
        ),
    )
