"""Text with units becomes the right number, correctly rounded, or a message that helps."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hwsim import units
from hwsim.errors import SpecError


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("28.63 pJ", "J", 28.63e-12), ("28.63pJ", "J", 28.63e-12), ("468.76 pJ", "J", 468.76e-12),
        ("1 eV", "J", 1.602176634e-19),
        ("400 MHz", "Hz", 400e6), ("400e6 1/s", "Hz", None), ("144 KiB", "bit", 144 * 8192), ("32 B", "bit", 256),
        ("1 kB", "bit", 8000), ("3 Mibit", "bit", 3 * 2**20), ("12.8 GB/s", "bit/s", 12.8e9 * 8),
        ("0.5 mm^2", "m^2", 0.5e-6),
        ("34.27 um^2", "m^2", 34.27e-12), ("34.27 µm^2", "m^2", 34.27e-12), ("28 nm", "m", 28e-9), ("0.9 V", "V", 0.9),
        ("20 kohm", "ohm", 20e3), ("20 kΩ", "ohm", 20e3), ("1.2 fF", "F", 1.2e-15), ("10 %", "1", 0.1),
        ("0.25", "1", 0.25),
        ("24.909 mW", "W", 24.909e-3), ("3 cycle", "cycle", 3), ("2.5 pJ/op", "J/op", 2.5e-12), ("1 mW/MHz", "J", 1e-9),
        ("1 V*A", "W", 1.0), ("1 V/A", "ohm", 1.0), ("1.5 uA", "A", 1.5e-6), ("360 K", "K", 360), ("1e-9 s", "s", 1e-9),
    ],
)  # fmt: skip
def test_values_are_correctly_rounded(text: str, unit: str, value: float | None) -> None:
    if value is None:
        with pytest.raises(SpecError):
            units.parse(text, unit)
    else:
        assert units.parse(text, unit) == value


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("28.63", "J", "expected an energy such as '28.63 pJ', found '28.63'"),
        ("10 pj", "J", "expected an energy such as '28.63 pJ', found '10 pj'\n  unknown unit 'pj'; did you mean 'pJ'?"),
        ("28 PJ", "J", "expected an energy such as '28.63 pJ', found '28 PJ'\n  unknown unit 'PJ'; did you mean 'pJ'?"),
        ("3 ns", "J", "expected an energy such as '28.63 pJ', found '3 ns'\n  'ns' is the unit of a time."),
        ("3 apples", "J", "expected an energy such as '28.63 pJ', found '3 apples'\n  unknown unit 'apples'."),
        ("400 mhz", "Hz", "expected a frequency such as '400 MHz', found '400 mhz'\n"
                          "  unknown unit 'mhz'; did you mean 'mHz' or 'MHz'?"),
        ("64 KB", "bit", "expected a size such as '32 KiB', found '64 KB'\n  unknown unit 'KB'; did you mean 'kB'?"),
        ("5 mm2", "m^2", "expected an area such as '0.5 mm^2', found '5 mm2'\n"
                         "  unknown unit 'mm2'; did you mean 'mm^2'?"),
        ("3 cycle", "1", "expected a fraction such as '10 %', found '3 cycle'\n"
                         "  'cycle' is the unit of a number of cycles."),
        ("3 bit", "1", "expected a fraction such as '10 %', found '3 bit'\n  'bit' is the unit of a size."),
        ("1 m^3", "m^2", "expected an area such as '0.5 mm^2', found '1 m^3'\n  'm^3' is a unit of another kind."),
        ("1e999 J", "J", "expected an energy such as '28.63 pJ', found '1e999 J'"),
        ("", "J", "expected an energy such as '28.63 pJ', found ''"),
    ],
)  # fmt: skip
def test_messages(text: str, unit: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        units.parse(text, unit)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (28.63e-12, "J", "28.63 pJ"), (62.775e-15, "J", "62.775 fJ"), (0.0, "J", "0 J"), (144 * 8192, "bit", "144 KiB"),
        (16, "bit", "16 bit"), (72, "bit", "9 B"),
        (12.8e9 * 8, "bit/s", "12.8 GB/s"), (float("inf"), "bit/s", "unlimited"),
        (0.525866e-6, "m^2", "0.525866 mm^2"), (34.27e-12, "m^2", "34.27 um^2"), (4e8, "Hz", "400 MHz"),
        (0.1, "1", "0.1"),
        (1e-9, "s", "1 ns"), (-2e-3, "W", "-2 mW"),
    ],
)  # fmt: skip
def test_values_are_shown_as_people_write_them(value: float, unit: str, text: str) -> None:
    assert units.show(value, unit) == text


def test_pint_is_not_imported_before_the_first_quantity() -> None:
    loaded = "'pint' in sys.modules"
    code = f"import sys, hwsim.units; assert not {loaded}; hwsim.units.parse('1 J', 'J'); assert {loaded}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_multiple_keeps_relative_error_and_source() -> None:
    doubled = units.Quantity(2.0, 0.5, 0.0, "book", "J").times(2)
    assert (doubled.value, doubled.sigma, doubled.source) == (4.0, 1.0, "book")
    assert units.Quantity(2.0, 0.0, 0.7, "book", "J").times(2).log_sigma == 0.7
