"""Pictures, drawn with matplotlib (extra ``pictures``): what crossbar arrays do to currents, codes and accuracy, and
what the cores of neuromorphic machines do with spikes and time.

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
    "spike-latency": "time and spikes to the first output of a timestep, time of samples",
    "queue-lengths": "spikes that wait in the queues of cores when a turn begins",
    "core-time": "what each core spends its time on: turns, and what it waits for",
    "link-load": "the network on chip with the load of its links",
    "extra-steps": "accuracy and time against the turns after the first output spike",
}
"""Name -> what is shown."""
OF_ARRAYS = ("ir-drop", "output-error", "adc", "array-size")
"""Those of crossbars."""
OF_CORES = ("spike-latency", "queue-lengths", "core-time", "link-load", "extra-steps")
"""Those of neuromorphic machines."""


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

    ``layer``: of ir-drop and output-error (default: the first one with the fullest array), or the only one of adc and
    queue-lengths.
    ``samples``: whose spikes the picture looks at (ir-drop: the first one); ``accuracy``: test images of array-size and
    extra-steps. The same inputs give the same bytes with the same matplotlib. Raises SpecError for the user's
    mistakes, with nothing written.
    """
    if kind not in KINDS:
        raise SpecError(Problem("picture", f"unknown kind '{kind}'", did_you_mean(kind, KINDS, "Kinds")))
    from hwsim.report.pictures import canvas
    from hwsim.report.pictures.core_subject import CoreSubject
    from hwsim.report.pictures.subject import Subject

    canvas.check(output)
    subject = (CoreSubject if kind in OF_CORES else Subject)(
        str(architecture), str(workload), tuple(overrides), layer, samples, accuracy, timesteps, seed, progress
    )
    module = import_module(f"{__name__}.{kind.replace('-', '_')}")
    collected = module.collect(subject)
    with canvas.style():
        return canvas.save(module.paint(collected, subject), output)
