"""Converters are ranged on the currents that the chip itself makes of the calibration images, layer after layer."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hwsim.components.registry import load as load_architecture
from hwsim.kernels.analog import plain_patch
from hwsim.machines import prepare
from hwsim.machines.crossbar.product import BINS, ArrayProduct
from hwsim.machines.crossbar.run import Runner
from hwsim.machines.crossbar.tile import shape_of
from hwsim.machines.request import Request
from hwsim.network.engine import run_sample
from hwsim.workload import load as load_workload
from tests.crossbar.networks import drawn

IMAGES = 2
LESS = ["crossbar.rows=16", "crossbar.columns=16", f"adc.calibration_images={IMAGES}"]


def runner(workload, *overrides):
    made = prepare(load_architecture("spikesim", overrides), load_workload(workload), Request(force=True))
    assert isinstance(made, Runner)
    return made


def ranges(made):
    adc = made.machine.architecture.component("adc").parameters
    numerics = made.machine.numerics(made.timesteps)
    return made.network.ranges(made.calibration, adc["calibration_images"], adc["quantile"], numerics)


def inputs(made, frozen, name):
    """Of a layer, for each calibration image, in a run of the whole network."""
    images = range(min(made.machine.parameter("adc", "calibration_images"), len(made.calibration)))
    runs = (run_sample(frozen, made.calibration, image, made.timesteps) for image in images)
    return [spikes.inputs.channel_last(name) for spikes in runs]


def column_currents(made, name, given):
    """[slices x polarities, reads x filters] code units, of reads with an active row: plain sums over the rows."""
    layer, placed, found = made.network.arrays[name], made.network.placed[name], []
    for x in (at.reshape(-1, at.shape[-1]).astype(np.int64) for image in given for at in image):
        for patch in (plain_patch(x, shape_of(placed), pixel) for pixel in range(placed.geometry.P)):
            for plane in range(placed.planes):
                on = np.flatnonzero(patch >> plane & 1)
                for block in np.unique(placed.block_of[on]):
                    rows = on[placed.block_of[on] == block]
                    found.append(layer.code_currents[rows].sum(axis=0).reshape(layer.groups, -1))
    return np.concatenate(found, axis=1) if found else np.zeros((layer.groups, 0))


def check(made, quantile):
    """Every full scale against the quantile of the currents of the whole chip; returns the currents looked at."""
    looked_at = 0
    for name, step in ranges(made).items():
        layer, full = made.network.arrays[name], step * made.machine.model.codes
        bins = layer.largest_currents.sum(axis=0).reshape(layer.groups, -1).max(axis=1) / BINS
        currents = column_currents(made, name, inputs(made, made.frozen, name))
        for group in range(layer.groups if currents.size else 0):
            exact = np.quantile(currents[group], quantile, method="inverted_cdf")
            assert exact * (1 - 1e-9) <= full[group] <= exact + 2 * bins[group] + 1e-9, (name, group)
            assert (currents[group] > full[group]).mean() <= 1 - quantile + 1e-9
            looked_at += currents[group].size
    return looked_at


@pytest.mark.parametrize("quantile", [0.9, 0.999])
def test_a_chip_that_fires_more_is_not_cut_off_more(quantile):
    """fc1 of this chip is a fifth denser than the exact one; on its spikes a third of fc2's currents were cut off."""
    made = runner("digits_mlp", f"adc.quantile={quantile}")
    chip, exact = (np.mean(inputs(made, frozen, "fc2")) for frozen in (made.frozen, made.exact))
    assert chip > 1.15 * exact
    of_exact = column_currents(made, "fc2", inputs(made, made.exact, "fc2"))
    of_chip = column_currents(made, "fc2", inputs(made, made.frozen, "fc2"))
    assert (of_chip[0] > np.quantile(of_exact[0], quantile)).mean() > 3 * (1 - quantile)
    assert check(made, quantile) > 1000


@pytest.mark.parametrize(
    "overrides",
    [[], ["mapping.first_layer=digital"], ["crossbar.device=sonos", "options.lif_sharing=2"],
     ["mapping.scheme=im2col", "mapping.encoding=differential_pair", "neuron.membrane_bits=4 bit"]],
    ids=["plain", "digital", "noise", "membranes"],
)  # fmt: skip
@pytest.mark.parametrize("seed", [3, 4, 21])
def test_layers_in_front_are_those_of_the_whole_chip(seed, overrides, tmp_path):
    """Branches, pools, digital layers, read noise: what a layer was ranged on is what it receives in a run."""
    assert check(runner(drawn(tmp_path / "n.npz", seed, encoding="direct"), *LESS, *overrides), 0.999) > 100


def test_each_layer_runs_once_per_image(tmp_path, monkeypatch):
    """The last one not at all; and nothing where ranges are in the cache."""
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path / "cache"))
    seen, psums = Counter(), ArrayProduct.psums

    def counted(product, *given):
        seen[product.placed.name] += 1
        return psums(product, *given)

    monkeypatch.setattr(ArrayProduct, "psums", counted)
    path = drawn(tmp_path / "n.npz", 3, encoding="direct")
    first, again = runner(path, *LESS), runner(path, *LESS)
    found = ranges(first)
    assert len(found) > 2 and seen == dict.fromkeys(list(found)[:-1], IMAGES)
    seen.clear()
    kept = ranges(again)
    assert not seen and all(np.array_equal(found[name], kept[name]) for name in found)
