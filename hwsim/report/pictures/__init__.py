"""Pictures of crossbars, drawn with matplotlib (extra ``pictures``): what arrays do to currents, codes and accuracy.

``draw`` is all of it. Each kind is a module: ``collect`` computes numbers without matplotlib, ``paint`` draws them.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from hwsim.errors import Problem, SpecError, did_you_mean
from hwsim.machines import Progress

KINDS = {
    "ir-drop": "voltage that the cells of an array lack, all rows driven and for spikes",
    "output-error": "errors of column currents and psums, before and after gain calibration",
    "adc": "use of the ADC's codes and clipping, per layer and slice",
    "array-size": "accuracy against array size, gain calibration off and per column",
}
"""Name -> what is shown."""


def draw(
    kind: str,
    architecture: str | Path,
    workload: str | Path,
    output: str | Path,
    *,
    layer: str | None = None,
    overrides: Iterable[str] = (),
    samples: int = 1,
    accuracy: int = 100,
    timesteps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Draw a picture of ``KINDS`` into the file ``output`` (png, svg or pdf by its ending); returns the file.

    ``layer``: of ir-drop and output-error (default: the first one with the fullest array), or the only one of adc.
    ``samples``: whose spikes adc and output-error look at, and the first of which ir-drop looks at; ``accuracy``: test
    images of array-size. The same inputs give the same bytes with the same matplotlib. Raises SpecError for the user's
    mistakes, with nothing written.
    """
    if kind not in KINDS:
        raise SpecError(Problem("picture", f"unknown kind '{kind}'", did_you_mean(kind, KINDS, "Kinds")))
    from hwsim.report.pictures import canvas
    from hwsim.report.pictures.subject import Subject

    canvas.check(output)
    subject = Subject(
        str(architecture), str(workload), tuple(overrides), layer, samples, accuracy, timesteps, seed, progress
    )
    module = import_module(f"{__name__}.{kind.replace('-', '_')}")
    collected = module.collect(subject)
    with canvas.style():
        return canvas.save(module.paint(collected, subject), output)
