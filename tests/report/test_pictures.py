"""Pictures of crossbars: the numbers behind them by other ways, files written whole and equal, mistakes answered."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from hwsim import cli
from hwsim.errors import SpecError
from hwsim.kernels.analog import plain_patch
from hwsim.machines.crossbar.tile import shape_of
from hwsim.report.pictures import KINDS, OF_ARRAYS, adc, array_size, canvas, draw, ir_drop, output_error
from hwsim.report.pictures.subject import Subject, patches, written
from hwsim.workload import load
from tests.machines.tiny import network

FREE = tuple(f"crossbar.{name}=0 ohm" for name in ("driver", "row_wire", "column_wire", "sense"))
PURE = (*FREE, "crossbar.variation=0")
"""Arrays without wires, and cells as they were meant."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    """Two convolutions and two linear layers with random weights."""
    return str(network(tmp_path_factory.mktemp("net") / "tiny.npz"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HWSIM_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def run(*arguments: str) -> int:
    return cli._run(list(arguments))


# The numbers.


def test_patches_are_what_a_read_sees(tiny):
    subject = Subject("spikesim", tiny)
    random = np.random.default_rng(1)
    for placed in subject.runner.placed:
        g = placed.geometry
        x = random.integers(0, 256, (2, g.H, g.W, g.C))
        found = patches(placed, x)
        for t, pixel in ((0, 0), (1, g.E * g.F - 1)):
            wanted = plain_patch(x[t].reshape(-1, g.C), shape_of(placed), pixel)
            assert (found[t, pixel] == wanted).all()


def test_patches_follow_stride_and_dilation(tiny):
    placed = Subject("spikesim", tiny).runner.placed[1]
    g = replace(placed.geometry, stride_y=2, stride_x=3, dilation_y=2, E=3, F=2, pad_x=0)
    placed = replace(placed, geometry=g)
    x = np.arange(g.H * g.W * g.C).reshape(1, g.H, g.W, g.C)
    for pixel in range(6):
        assert (patches(placed, x)[0, pixel] == plain_patch(x[0].reshape(-1, g.C), shape_of(placed), pixel)).all()


def test_ir_drop_loses_what_the_effective_conductances_say(tiny):
    """Nodal voltages and the recursion are two ways to the same currents."""
    subject = Subject("spikesim", tiny, layer="fc1")
    layer = subject.chosen
    found = ir_drop.collect(subject)
    stored = layer.stored()[found.array]
    for pattern in found.patterns:
        arrived = layer.solved[found.array][pattern.active].sum(axis=0)
        wanted = 1.0 - arrived / stored[pattern.active].sum(axis=0)
        used = written(layer)[found.array].any(axis=0)
        assert pattern.lost[used] == pytest.approx(wanted[used], rel=1e-9)
        assert np.isnan(pattern.lost[~used]).all() and used.sum() == 24
        assert np.isnan(pattern.drop[~pattern.active]).all()
        assert (pattern.drop[pattern.active] > 0).all()
    everything, spikes = found.patterns
    assert everything.active.all() and 0 < spikes.active.sum() < 64


def test_without_wires_no_voltage_is_lost(tiny):
    found = ir_drop.collect(Subject("spikesim", tiny, FREE))
    for pattern in found.patterns:
        assert np.nanmax(np.abs(pattern.drop)) < 1e-12
        assert np.nanmax(np.abs(pattern.lost)) < 1e-12


@pytest.mark.parametrize(("name", "array"), [("conv2", 5), ("fc1", 3)])
def test_the_median_read_is_one_of_the_layers_reads(name, array, tiny):
    subject = Subject("spikesim", tiny, layer=name)
    layer = subject.chosen
    read = ir_drop.median_read(subject, layer, array)
    rows = np.flatnonzero(layer.placed.block_of == array // layer.placed.slices)
    seen = patches(layer.placed, subject.inputs(0, name))[:, :, rows]
    counts = seen.sum(axis=2)
    assert read.active.sum() == np.sort(counts[counts > 0])[np.count_nonzero(counts) // 2]
    assert (np.flatnonzero(read.active) == layer.placed.position_of[rows[seen[read.timestep, read.pixel] > 0]]).all()


def test_gated_rows_take_no_current(tiny):
    def lost(silent: str) -> np.ndarray:
        return ir_drop.collect(Subject("spikesim", tiny, (f"options.silent_rows={silent}",))).patterns[1].lost

    assert np.nanmean(lost("gated")) < np.nanmean(lost("grounded")) - 0.05


def test_cells_that_are_not_ohmic_are_solved_as_such(tiny):
    """sinh cells conduct more, so they load the wires more; far below v0 they are linear ones."""
    layer = Subject("spikesim", tiny, layer="fc1").chosen
    stored, every, columns = layer.stored()[0], np.ones(64, dtype=bool), np.ones(64, dtype=bool)
    linear = ir_drop.solve("", layer, stored, every, columns)
    drops = {}
    for v0 in (0.1, 1e4):
        layer.model = replace(layer.model, law="sinh", v0=v0, volts=0.2)
        drops[v0] = ir_drop.solve("", layer, stored, every, columns).drop
    assert drops[1e4] == pytest.approx(linear.drop, rel=1e-6)
    assert drops[0.1].mean() > linear.drop.mean() * 1.01


def test_a_calibrated_column_is_right_with_all_rows_on(tiny):
    """The gain is measured there; elsewhere it is a compromise."""
    subject = Subject("spikesim", tiny, layer="fc1")
    layer = subject.chosen
    ones = np.ones((1, 1, 1, layer.rows), dtype=np.int32)
    assert np.abs(output_error.current_errors(layer, ones)).max() < 1e-9
    off = subject.runner.chip(0, gain="off").arrays["fc1"]
    assert output_error.current_errors(off, ones).max() < -0.2


def test_perfect_arrays_make_no_error(tiny):
    subject = Subject("spikesim", tiny, (*PURE, "options.converters=false"), layer="conv2", samples=2)
    found = output_error.collect(subject)
    assert found.gains == ("off", "per_column")
    for errors in (*found.currents, *found.psums):
        assert errors.size > 1000
        assert np.abs(errors).max() < 1e-6  # grids of currents and psums


def test_gain_calibration_shrinks_errors(tiny):
    before, after = (np.sqrt((errors**2).mean()) for errors in output_error.collect(Subject("spikesim", tiny)).psums)
    assert after < before / 3


def test_currents_that_are_solved_read_by_read_are_those_of_the_sums(tiny):
    """Gated rows all of which are on are like grounded ones."""
    grounded, gated = (
        Subject("spikesim", tiny, ("options.gain=off", f"options.silent_rows={silent}"), layer="fc1").chosen
        for silent in ("grounded", "gated")
    )
    ones = np.ones((1, 1, 1, grounded.rows), dtype=np.int32)
    wanted = output_error.current_errors(grounded, ones)
    assert output_error.current_errors(gated, ones) == pytest.approx(wanted, abs=1e-6)


def test_codes_are_those_that_the_chip_counts(tiny):
    """A simulated sample counts conversions and those cut off; the picture counts them again, code by code."""
    subject = Subject("spikesim", tiny, ("adc.quantile=0.9",))
    found = adc.collect(subject)
    counts = subject.runner.run_one(0).counts
    for index, placed in enumerate(subject.runner.placed):
        rows = [name.split()[0] == placed.name for name in found.names]
        wanted = {"convert": 0, "clipped": 0}
        for (_, layer, _, part, action), number in counts.items():
            if layer == index and part == "adc":
                wanted[action] += number
        times = 1 if len(subject.inputs(0, placed.name)) > 1 else subject.runner.timesteps
        assert found.counts[rows].sum() * times == wanted["convert"]
        assert found.clipped[rows].sum() * times == wanted["clipped"]
    assert 0.02 < found.clipped.sum() / found.counts.sum() < 0.2


def test_codes_are_rounded_currents(tiny):
    subject = Subject("spikesim", tiny, layer="fc1")
    product = subject.runner.frozen.layers["fc1"].product
    x = subject.inputs(0, "fc1")
    counts, clipped = adc.code_counts(product, [x])
    analog = product.analog
    current = np.stack([patches(product.placed, x).reshape(len(x), -1)[:, analog.block_of == block]
                        @ analog.g[analog.block_of == block] for block in range(analog.blocks)])  # fmt: skip
    spikes = [
        [read[analog.block_of == block].any() for read in x.reshape(len(x), -1)] for block in range(analog.blocks)
    ]
    code = np.rint(current[np.array(spikes)]).reshape(-1, analog.polarities_slices, analog.filters)
    for group in range(analog.polarities_slices):
        wanted = np.bincount(
            np.minimum(code[:, group].astype(int), analog.codes).reshape(-1), minlength=analog.codes + 1
        )
        assert (counts[group] == wanted).all()
        assert clipped[group] == (code[:, group] > analog.codes).sum()


def test_array_size_tells_gains_apart():
    found = array_size.collect(Subject("spikesim", "digits_mlp", ("options.device_seeds=2",), accuracy=20))
    assert {shares.shape for shares in found.shares.values()} == {(4, 2)}
    assert found.software > 0.8 and found.images == 20
    assert (found.shares["per_column"].mean(axis=1) > found.shares["off"].mean(axis=1) + 0.3).all()


def test_every_size_is_of_square_arrays_on_the_same_chips(tiny, monkeypatch):
    seen = []

    def measure(runner, chip, gain, images):
        seen.append((runner.machine.model.rows, runner.machine.model.columns, chip, gain, images))
        return chip / 10

    monkeypatch.setattr(array_size, "measure", measure)
    found = array_size.collect(Subject("spikesim", tiny, ("options.device_seeds=2",), seed=7, accuracy=100))
    assert sorted(seen) == [
        (n, n, chip, gain, 3) for n in (16, 32, 64, 128) for chip in (7, 8) for gain in found.shares
    ]
    assert (found.shares["off"] == [0.7, 0.8]).all() and found.images == 3


@pytest.mark.parametrize(
    ("overrides", "chips"),
    [((), 3), (("options.device_seeds=1",), 1), (("options.device_seeds=4",), 4)],
)
def test_error_bars_need_several_chips_unless_said(tiny, overrides, chips):
    subject = Subject("spikesim", tiny, overrides)
    assert array_size.count_chips(subject, subject.runner) == chips


# The files.


@pytest.mark.parametrize("kind", OF_ARRAYS)
def test_a_picture_is_the_same_bytes_whatever_the_users_settings(kind, tiny, tmp_path, capsys, monkeypatch):
    import matplotlib

    monkeypatch.setattr(array_size, "SIZES", (32, 64))
    arguments = ["--accuracy", "2", "--set", "options.device_seeds=1"]
    assert run("picture", kind, "spikesim", tiny, "-o", str(tmp_path / "a.png"), *arguments) == 0
    assert capsys.readouterr().out == f"written: {tmp_path / 'a.png'}\n"
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 50, "image.cmap": "jet"}):
        assert run("picture", kind, "spikesim", tiny, "-o", str(tmp_path / "b.png"), *arguments) == 0
    first, second = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert first.startswith(b"\x89PNG") and first == second
    assert b"Matplotlib" not in first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_vector_files_are_the_same_bytes_too(tiny, tmp_path):
    subject = Subject("spikesim", tiny, layer="fc1")
    found = adc.collect(subject)
    for ending in ("svg", "pdf"):
        made = []
        for folder in ("1", "2"):
            with canvas.style():
                made.append(canvas.save(adc.paint(found, subject), tmp_path / folder / f"x.{ending}").read_bytes())
        assert made[0] == made[1]


def test_another_seed_is_another_picture(tiny, tmp_path):
    paths = [draw("ir-drop", "spikesim", tiny, tmp_path / f"{seed}.png", seed=seed) for seed in (0, 1)]
    assert paths[0].read_bytes() != paths[1].read_bytes()


@pytest.mark.parametrize("kind", OF_ARRAYS)
def test_no_text_covers_another_and_the_caption_says_what_it_is(kind, tiny, monkeypatch):
    monkeypatch.setattr(array_size, "SIZES", (32, 64))
    overrides = ("options.device_seeds=2", "options.gain=per_column", "mapping.encoding=differential_pair")
    subject = Subject("spikesim", tiny, overrides, accuracy=2)
    module = {"ir-drop": ir_drop, "output-error": output_error, "adc": adc, "array-size": array_size}[kind]
    with canvas.style():
        figure = module.paint(module.collect(subject), subject)
        figure.draw_without_rendering()
        texts = shown(figure)
        whole = " ".join(text.get_text().replace("\n", " ") for text in texts)
        boxes = [text.get_window_extent() for text in texts]
    for part in ("spikesim", subject.network.name, "seed 0", "rram", *overrides):
        assert part in whole
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, texts[i]
        for j in range(i):
            wide = min(box.x1, boxes[j].x1) - max(box.x0, boxes[j].x0)
            high = min(box.y1, boxes[j].y1) - max(box.y0, boxes[j].y0)
            assert wide <= 1 or high <= 1, (texts[i], texts[j])


def shown(figure) -> list[Text]:
    """The texts that can be seen; tick labels beyond the ends of an axis cannot."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            visible = {tick for tick in axis._update_ticks()}
            for tick in {*axis.get_major_ticks(), *axis.get_minor_ticks()} - visible:
                hidden |= {tick.label1, tick.label2}
    texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    return [text for text in texts if text not in hidden]


def test_captions_break_between_their_parts():
    parts = ["a part of some words"] * 12
    lines = canvas.wrapped("; ".join(parts)).split("\n")
    assert len(lines) > 1
    assert all(line.removesuffix(";").split("; ") == parts[: line.count("words")] for line in lines)


# Mistakes.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ir-dorp", "spikesim", "digits_mlp"], "did you mean 'ir-drop'?"),
        (["adc", "spikesim", "digits_mlp", "--layer", "fc3"], "no layer 'fc3' on arrays\n  did you mean 'fc2'?"),
        (["adc", "spikesim", "digits_mlp", "--layer", "fc1", "--set", "mapping.linear=digital"], "no arrays"),
        (["ir-drop", "sata", "digits_mlp"], "this picture is of the family 'crossbar', this is 'systolic'"),
        (["ir-drop", "spikesim", "vgg9_cifar10"], "has no weights (shapes)"),
        (["adc", "spikesim", "digits_mlp", "--set", "options.converters=false"], "there are no codes to show"),
        (["adc", "spikesim", "digits_mlp", "--samples", "100000"], "--samples 100000: digits_mlp has"),
        (["ir-drop", "spikesm", "digits_mlp"], "did you mean 'spikesim'?"),
    ],
)  # fmt: skip
def test_mistakes_exit_2_and_write_nothing(arguments, message, tmp_path, capsys):
    assert run("picture", *arguments, "-o", str(tmp_path / "x.png")) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"), [("x.jpg", "must end in .png, .svg or .pdf, not in '.jpg'"), ("", "'-o' / '--output'")]
)
def test_the_file_must_be_one_that_is_written(name, message, tmp_path, capsys):
    assert run("picture", "adc", "spikesim", "digits_mlp", "-o", str(tmp_path / name)) == 2
    assert message in capsys.readouterr().err


def test_without_matplotlib_the_extra_is_named(tmp_path):
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from hwsim import cli\n"
        "sys.exit(cli._run(['picture', 'adc', 'spikesim', 'digits_mlp', '-o', 'x.png']))"
    )
    root = str(Path(cli.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
                          env={"PYTHONPATH": root}, check=False)  # fmt: skip
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "pictures need matplotlib" in done.stderr and ".[pictures]" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_does_not_import_matplotlib():
    code = "import sys, hwsim.run, hwsim.report.tables, hwsim.cli; sys.exit('matplotlib' in sys.modules)"
    root = str(Path(cli.__file__).parents[1])
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": root}, check=False).returncode == 0


def test_the_help_names_every_kind(capsys):
    assert run("picture", "--help") == 0
    text = capsys.readouterr().out
    assert all(f"    {kind} " in text for kind in KINDS)


def test_a_broken_drawing_leaves_the_old_file_alone(tiny, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    old = tmp_path / "x.png"
    old.write_bytes(b"old")

    def broken(self, name, **options):
        Path(name).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", broken)
    with pytest.raises(OSError, match="disk full"):
        draw("adc", "spikesim", tiny, old)
    assert old.read_bytes() == b"old" and [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_draw_refuses_before_it_computes(monkeypatch):
    monkeypatch.setattr("hwsim.report.pictures.asked.load_architecture", None)
    with pytest.raises(SpecError, match="must end in"):
        draw("adc", "spikesim", "digits_mlp", "x.gif")
    assert load("digits_mlp").kind == "network"
