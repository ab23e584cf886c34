#!/usr/bin/env python3
"""Makes the C table of powers of ten that json_number.c multiplies by: powers_of_ten.py OUTPUT.

Each is its first 128 bits, cut: 10^k lies in [m, m + 1) * 2^(floor(log2 10^k) - 127), and m is 10^k
itself where its rest is 0. Integers of any size give every bit; nothing is computed in floating
point.
"""
import pathlib
import sys

FIRST, LAST = -343, 324  # what reading (-343 … 308) and writing (-292 … 324) need


def mantissa(k: int) -> int:
    if k >= 0:
        power = 10**k
        shift = power.bit_length() - 128
        return power >> shift if shift > 0 else power << -shift
    divisor = 10**-k
    # 2^n / 10^-k has 128 bits before its point: n - log2(10^-k) is between 127 and 128
    return (1 << (127 + divisor.bit_length())) // divisor


def main() -> None:
    rows = []
    for k in range(FIRST, LAST + 1):
        m = mantissa(k)
        assert m.bit_length() == 128, k
        rows.append(
            f"\t{{UINT64_C(0x{m >> 64:016x}), UINT64_C(0x{m & (1 << 64) - 1:016x})}}, /* {k} */\n"
        )
    exact = max(
        k
        for k in range(LAST + 1)
        if mantissa(k) * 2 ** max(0, (10**k).bit_length() - 128) >= 10**k
    )
    pathlib.Path(sys.argv[1]).write_text(
        "/* Made by powers_of_ten.py. Do not edit. */\n#include <stdint.h>\n\n"
        f"enum {{ POWER_FIRST = {FIRST}, POWER_LAST = {LAST}, POWER_EXACT_LAST = {exact} /* "
        "from 0 to it none is cut */ };\n\n"
        f"static const uint64_t powers[][2] = {{\n{''.join(rows)}}};\n",
        encoding="utf-8",
    )


main()
