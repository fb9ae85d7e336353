"""Numbers as a person reads them: three digits, an SI prefix, percentages with a sign."""

from __future__ import annotations

import math

_PREFIXES = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
NOTHING = "-"


def si(value: float | None, unit: str, digits: int = 3) -> str:
    """``2.31e-4, "J"`` -> ``231 µJ``. Areas (``m2``) go to mm2 and um2, whose prefixes are squared."""
    if value is None:
        return NOTHING
    if unit == "m2":
        return _area(value, digits)
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    power = _power(value, digits)
    return f"{_significant(value / 10.0**power, digits)} {_PREFIXES[power]}{unit}"


def _power(value: float, digits: int) -> int:
    """The power of 1000 that leaves 1 to 999 before the unit, after rounding to ``digits``."""
    exponent = math.floor(math.log10(abs(value)))
    rounded = abs(float(f"{value:.{digits - 1}e}"))
    exponent = max(exponent, math.floor(math.log10(rounded)))
    return min(max(3 * (exponent // 3), min(_PREFIXES)), max(_PREFIXES))


def _area(value: float, digits: int) -> str:
    if value == 0:
        return "0 mm2"
    mm2 = value * 10.0**6
    return f"{_significant(mm2, digits)} mm2" if mm2 >= 10.0**-3 else f"{_significant(mm2 * 10.0**6, digits)} um2"


def _significant(value: float, digits: int) -> str:
    """``digits`` significant digits, trailing zeros kept, no exponent below a million."""
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    return f"{value:.{max(0, digits - 1 - exponent)}f}" if exponent < 6 else f"{value:.{digits - 1}e}"


def count(value: float | None) -> str:
    """A whole number with thousands separators up to seven digits, then with a prefix: ``80.6 M``."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) < 10**7 else si(value, "").rstrip()


def plural(number: int, noun: str) -> str:
    """``1 layer``, ``4 layers``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def share(part: float, whole: float) -> str:
    """A part of a whole in percent, one decimal."""
    return f"{100 * part / whole:.1f} %" if whole else NOTHING


def percent(value: float | None, digits: int = 1) -> str:
    """A share of one in percent: ``0.923`` -> ``92.3 %``."""
    return NOTHING if value is None else f"{100 * value:.{digits}f} %"


def change(value: float | None, base: float | None) -> str:
    """Signed change against a base: ``-62.5 %``; a hundredfold and more as a factor."""
    if value is None or not base:
        return NOTHING
    ratio = value / base
    if ratio >= 100:
        return f"x {_significant(ratio, 3)}"
    text = f"{100 * (ratio - 1):+.1f} %"
    return "0.0 %" if text in ("+0.0 %", "-0.0 %") else text


def span(bounds: tuple[float, float] | None, unit: str) -> str:
    """A 95 % interval: ``198 to 271 µJ``; one unit where both ends share it."""
    if bounds is None:
        return NOTHING
    low, high = si(bounds[0], unit), si(bounds[1], unit)
    if low == high:
        return low
    number, _, prefix = low.partition(" ")
    return f"{number} to {high}" if prefix == high.partition(" ")[2] else f"{low} to {high}"


def times(value: float) -> str:
    """A factor with two digits: ``25x``, ``0.83x``; from a thousand on with separators."""
    return f"{_significant(value, 2)}x" if value < 1000 else f"{float(f'{value:.2e}'):,.0f}x"
