/* Doubles and decimals without trial: both ways are one multiplication by a power of ten kept to
 * 128 bits. Thread: no state. */
#ifndef PIERRE_JSON_NUMBER_H
#define PIERRE_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_NUMBER_DIGITS = 17 }; /* no double needs more */

/* The shortest decimal that reads back as the value (finite, not negative); of several the nearest.
 * Gives its digits without trailing zeros and how many; *exponent is that of the first digit. 0 has
 * the one digit 0. */
int json_number_digits(double value, char digits[JSON_NUMBER_DIGITS], int *exponent);

/* The double nearest to mantissa * 10^exponent, halves to even; `cut`: further digits followed the
 * mantissa's. False when the product's bits do not decide it, which is rare: then all digits must
 * be looked at. */
bool json_number_nearest(uint64_t mantissa, int64_t exponent, bool cut, double *value);

#endif
