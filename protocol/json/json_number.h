/* Converts doubles and decimals without trial: each way is one multiplication by a power of ten of
 * 128 bits. Thread: no state. */
#ifndef PIERRE_JSON_NUMBER_H
#define PIERRE_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_NUMBER_DIGITS = 17 }; /* no double needs more */

/* The shortest decimal that reads back as the value (finite, not negative); of several the nearest.
 * Returns its digits without trailing zeros; sets their number and *exponent, that of the first
 * digit. 0 has the single digit 0. */
int json_number_digits(double value, char digits[JSON_NUMBER_DIGITS], int *exponent);

/* The double nearest to mantissa * 10^exponent, ties to even; `cut`: further digits followed the
 * mantissa. False in the rare case that the product's bits do not decide it: then all digits are
 * needed. */
bool json_number_nearest(uint64_t mantissa, int64_t exponent, bool cut, double *value);

#endif
