"""Numbers as a reader likes them: three digits, a real minus sign, no power of ten where it can be helped."""

from __future__ import annotations


def numeral(value: float) -> str:
    """Three digits of a number.

    >>> [numeral(value) for value in (-0.4321, 12345.6, 0.0, 0.0000123)]
    ['−0.432', '12,346', '0', '1.23e−5']
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    text = f"{value:.3g}"
    if "e" in text:
        digits, power = text.split("e")
        text = f"{digits}e{int(power)}"
    return "0" if text in ("-0", "0") else text.replace("-", "−")


def percent(part: float) -> str:
    """A part of a whole; what is nearly none or nearly all of it is not said to be so.

    >>> [percent(part) for part in (0, 0.0002, 0.034, 0.62, 0.9999, 1)]
    ['0 %', '< 0.1 %', '3.4 %', '62 %', '> 99.9 %', '100 %']
    """
    if 0 < part < 0.001:
        return "< 0.1 %"
    if 0.999 < part < 1:
        return "> 99.9 %"
    digits = 0 if 0.1 <= part <= 0.99 or part in (0, 1) else 1
    return f"{100 * part:.{digits}f} %"
