"""Units at the boundary: ``400 MHz`` and ``144 KiB`` become plain floats in base units; nothing inside has a unit.

Base units: J, s, m, V, A, ohm, S, F, Hz, W, K, bit (a byte, B, is 8 bit), cycle, op, and 1 for fractions. The pint
registry is private and small: pint's own would read ``3 cycles`` as 18.8 radians and let bits pass as plain numbers.
Prefixes reach from atto to tera, so that ``28 PJ`` is a mistake and not 28e15 J.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from hwsim.errors import Problem, SpecError, nearest

if TYPE_CHECKING:
    import pint

# Electron volt: CODATA 2018, exact since the SI of 2019.
_DEFINITIONS = """
atto- = 1e-18 = a-
femto- = 1e-15 = f-
pico- = 1e-12 = p-
nano- = 1e-9 = n-
micro- = 1e-6 = µ- = μ- = u-
milli- = 1e-3 = m-
kilo- = 1e3 = k-
mega- = 1e6 = M-
giga- = 1e9 = G-
tera- = 1e12 = T-
kibi- = 1024 = Ki-
mebi- = 1048576 = Mi-
gibi- = 1073741824 = Gi-
meter = [length] = m
second = [time] = s
kilogram_ = [mass] = kg_
ampere = [current] = A
kelvin = [temperature] = K
bit = [information]
cycle = [clock]
op = [operation]
joule = kilogram_ * meter ** 2 / second ** 2 = J
watt = joule / second = W
volt = watt / ampere = V
ohm = volt / ampere = Ω
siemens = ampere / volt = S
farad = ampere * second / volt = F
hertz = 1 / second = Hz
byte = 8 * bit = B
electron_volt = 1.602176634e-19 * joule = eV
percent = 0.01
"""

_SYMBOLS = ("J", "s", "m", "V", "A", "ohm", "S", "F", "Hz", "W", "K", "bit", "B", "eV", "cycle", "op", "%")
_PREFIXES = ("", "a", "f", "p", "n", "u", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi")
_FACTOR = r"[A-Za-zµμΩ%]+(?:\^[1-4])?"
_TEXT = re.compile(
    rf"(?P<number>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{{1,2}})?)\s*(?P<unit>{_FACTOR}(?:\s*[*/]\s*{_FACTOR}){{0,3}})?"
)

_KINDS = {
    "J": ("an energy", "28.63 pJ"),
    "W": ("a power", "24.9 mW"),
    "s": ("a time", "11.9 ns"),
    "m": ("a length", "28 nm"),
    "m^2": ("an area", "0.5 mm^2"),
    "V": ("a voltage", "0.9 V"),
    "A": ("a current", "1.5 uA"),
    "ohm": ("a resistance", "20 kohm"),
    "S": ("a conductance", "25 uS"),
    "F": ("a capacitance", "1.2 fF"),
    "Hz": ("a frequency", "400 MHz"),
    "K": ("a temperature", "360 K"),
    "bit": ("a size", "32 KiB"),
    "bit/s": ("a bandwidth", "12.8 GB/s"),
    "cycle": ("a number of cycles", "4 cycle"),
    "op": ("a number of operations", "8 op"),
    "1": ("a fraction", "10 %"),
}
_PREFERRED = {"bit": "bit", "bit/s": "bit/s", "1": "", "cycle": "cycle", "op": "op"}
_STEPS = {12: "T", 9: "G", 6: "M", 3: "k", 0: "", -3: "m", -6: "u", -9: "n", -12: "p"}

Dimension = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Quantity:
    """A number with what is known about it.

    value       in the base unit ``unit``
    sigma       one standard deviation, in the same unit
    log_sigma   natural logarithm of a one-sigma factor ('x2' is ln 2); where given, ``sigma`` is 0
    source      an identifier of the architecture's ``sources`` block, 'assumed:<path>', or 'set:<path>'
    """

    value: float
    sigma: float = 0.0
    log_sigma: float = 0.0
    source: str = ""
    unit: str = ""

    def times(self, factor: float) -> Quantity:
        """The quantity multiplied by an exact number."""
        return Quantity(self.value * factor, self.sigma * abs(factor), self.log_sigma, self.source, self.unit)

    def __str__(self) -> str:
        error = f" x/÷ {math.exp(self.log_sigma):.3g}" if self.log_sigma else ""
        error = error or (f" ± {show(self.sigma, self.unit)}" if self.sigma else "")
        return show(self.value, self.unit) + error


def parse(text: str, unit: str) -> float:
    """``text`` ('28.63 pJ') in the base unit ``unit`` ('J'), correctly rounded.

    Raises ``SpecError`` without a place if the number has no unit, an unknown one, or one of another dimension.
    """
    return float(parse_exact(text, unit))


def parse_exact(text: str, unit: str) -> Fraction:
    """As ``parse``, without rounding: for sizes that must be whole bits."""
    return _parse(text, unit)


def phrase(unit: str, bound: str = "", shown: str = "") -> str:
    """What a message says is expected: "an energy such as '28.63 pJ'".

    ``bound`` ('> 0') stands before the example, ``shown`` is another example.
    """
    noun, usual = _KINDS.get(unit, ("a quantity", f"1 {unit}"))
    return f"{noun}{f' {bound}' if bound else ''} such as '{shown or usual}'"


def example(unit: str) -> str:
    """A quantity of that unit as it may be written: 'J' -> '28.63 pJ'."""
    return _KINDS[unit][1]


def show(value: float, unit: str) -> str:
    """A value of a base unit as people write it: 2.863e-11, 'J' -> '28.63 pJ'; sizes in binary units."""
    if unit == "bit" and value >= 8192 and value % 8192 == 0:
        return f"{value / 8192:.12g} KiB"
    if unit == "bit" and value > 64 and value % 8 == 0:
        return f"{value / 8:.12g} B"
    if not math.isfinite(value):
        return "unlimited"
    if unit == "bit/s":
        return f"{show(value / 8, 'B/s')}"
    if unit in _PREFERRED:
        return f"{value:.6g} {unit}" if unit != "1" else f"{value:.6g}"
    if unit == "m^2":
        return f"{value * 1e6:.6g} mm^2" if value >= 1e-9 or value == 0 else f"{value * 1e12:.6g} um^2"
    for exponent, prefix in _STEPS.items():
        if abs(value) >= 10.0**exponent * (1 - 1e-12):
            return f"{value / 10.0**exponent:.6g} {prefix}{unit}"
    return f"{value:.6g} {unit}" if value == 0 else f"{value * 1e15:.6g} f{unit}"


@functools.lru_cache(maxsize=4096)
def _parse(text: str, unit: str) -> Fraction:
    match = _TEXT.fullmatch(text.strip()) if len(text) <= 80 else None
    written = (match["unit"] or "") if match else ""
    if unit == "1" and match and not written:
        return Fraction(match["number"])
    if match is None or not written:
        raise SpecError(Problem("", f"expected {phrase(unit)}, found '{text[:60]}'", _power(text)))
    found = _factor(written)
    if found is None:
        raise SpecError(Problem("", f"expected {phrase(unit)}, found '{text}'", _unknown(written)))
    factor, dimension = found
    wanted = _factor(unit)
    assert wanted is not None, f"'{unit}' is no unit of hwsim"
    if dimension != wanted[1]:
        raise SpecError(Problem("", f"expected {phrase(unit)}, found '{text}'", _other_kind(written, dimension)))
    return Fraction(match["number"]) * factor / wanted[0]


@functools.lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry:
    import pint  # 0.2 s: paid by the first quantity, not by --help

    registry: pint.UnitRegistry = pint.UnitRegistry(None, non_int_type=Fraction, cache_folder=None)
    registry.load_definitions([line for line in _DEFINITIONS.splitlines() if line])
    return registry


@functools.lru_cache(maxsize=1024)
def _factor(unit: str) -> tuple[Fraction, Dimension] | None:
    """Factor to base units and dimension of a unit text; None if a name in it is unknown."""
    if unit == "1":
        return Fraction(1), ()
    registry = _registry()
    try:
        base = (1 * registry.parse_units(unit.replace("%", "percent").replace("^", "**"))).to_base_units()
    except Exception as error:
        # pint raises a dozen types for text that is no unit; the registry itself is proved by the tests
        assert not isinstance(error, AssertionError)
        return None
    dimension = ((name, int(power)) for name, power in base.dimensionality.items())
    return Fraction(base.magnitude), tuple(sorted(dimension))


def _power(text: str) -> str:
    """A hint for 'mm2' in place of 'mm^2'."""
    match = re.fullmatch(r"[-+0-9.eE]+\s*([A-Za-zµμ]+)([2-4])", text.strip())
    if match is None or _factor(match[1]) is None:
        return ""
    return f"unknown unit '{match[1]}{match[2]}'; did you mean '{match[1]}^{match[2]}'?"


def _unknown(written: str) -> str:
    """A hint for a unit text that cannot be read."""
    known = {f"{prefix}{symbol}": None for symbol in _SYMBOLS for prefix in _PREFIXES}
    for name in re.findall(r"[A-Za-zµμΩ%]+", written):
        if _factor(name) is not None:
            continue
        same = [unit for unit in known if unit.lower() == name.lower()]
        close = same or [unit for unit in [nearest(name, known)] if unit]
        if not close:
            return f"unknown unit '{name}'."
        return f"unknown unit '{name}'; did you mean {' or '.join(repr(unit) for unit in close)}?"
    return f"'{written}' is no unit."


def _other_kind(written: str, dimension: Dimension) -> str:
    for unit, (noun, _) in _KINDS.items():
        found = _factor(unit)
        if found and found[1] == dimension:
            return f"'{written}' is the unit of {noun}."
    return f"'{written}' is a unit of another kind."
