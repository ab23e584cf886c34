#include "json_number.h"

#include <math.h>
#include <string.h>

#include "powers_of_ten.gen.h"

enum { FRACTION_BITS = 52, LOWEST = -1074 /* of a double's bits */ };

__extension__ typedef unsigned __int128 wide;

static const uint64_t hidden_bit = UINT64_C(1) << FRACTION_BITS;

/* floor(log2(10^k)), floor(log10(2^k)) and floor(log10(2^k * 3/4)), exact for every k that a double
 * needs. */
static int log2_of_power(int k)
{
	return (int)(((int64_t)k * 1741647) >> 19);
}

static int log10_of_binary(int k, bool three_quarters)
{
	return (int)(((int64_t)k * 1262611 - (three_quarters ? 524031 : 0)) >> 22);
}

static const uint64_t *power(int k)
{
	return powers[k - POWER_FIRST];
}

static bool exact(int k)
{
	return k >= 0 && k <= POWER_EXACT_LAST;
}

/* The upper 64 bits of a product of 128 and 64 bits. The last bit is also set when lower bits hold
 * more than the table's rounding error. That keeps comparisons with integers correct: Giulietti's
 * "Schubfach", section 9. */
static uint64_t scaled(wide factor, uint64_t number)
{
	wide low = (wide)(uint64_t)factor * number;
	wide high = (wide)(uint64_t)(factor >> 64) * number + (uint64_t)(low >> 64);

	return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* The decimal as an integer and *scale, its power of ten.
 *
 * Every value between the midpoints to the neighbouring doubles reads back as the value, as do the
 * midpoints when its last bit is 0. k is chosen to make this range 1 to 10 units of 10^k wide. So
 * one of the two multiples of 10^k around the value lies in it. If one of the two multiples of
 * 10^(k + 1) does, that is shorter. Everything is in quarters of a unit. */
static uint64_t shortest(uint64_t fraction, int biased, int *scale)
{
	uint64_t c = biased != 0 ? hidden_bit | fraction : fraction;
	int q = (biased != 0 ? biased : 1) + LOWEST - 1;
	bool near_below =
		fraction == 0 && biased > 1; /* above a power of two: the double below is nearer */
	int k = log10_of_binary(q, near_below);
	int shift = q + log2_of_power(-k) + 1;
	wide factor = ((wide)power(-k)[0] << 64 | power(-k)[1]) + !exact(-k);
	uint64_t value = scaled(factor, c << 2 << shift);
	uint64_t low = scaled(factor, ((c << 2) - 2 + near_below) << shift) + (c & 1);
	uint64_t high = scaled(factor, ((c << 2) + 2) << shift) - (c & 1);
	uint64_t units = value / 4, tens = units / 10;
	bool below, above;

	*scale = k;
	if (tens > 0) {
		below = low <= 40 * tens;
		above = 40 * tens + 40 <= high;
		if (below != above) {
			*scale = k + 1;
			return tens + above;
		}
	}
	below = low <= 4 * units;
	above = 4 * units + 4 <= high;
	if (below != above)
		return units + above;
	return units + (value > 4 * units + 2 || (value == 4 * units + 2 && (units & 1) != 0));
}

int json_number_digits(double value, char digits[JSON_NUMBER_DIGITS], int *exponent)
{
	char text[24], *p = text + sizeof text;
	uint64_t bits, decimal;
	int scale, count;

	memcpy(&bits, &value, sizeof bits);
	*exponent = 0;
	digits[0] = '0';
	if (bits == 0)
		return 1;
	decimal = shortest(bits & (hidden_bit - 1), (int)(bits >> FRACTION_BITS), &scale);
	while (decimal % 100 == 0) {
		decimal /= 100;
		scale += 2;
	}
	if (decimal % 10 == 0) {
		decimal /= 10;
		scale++;
	}
	for (; decimal >= 10; decimal /= 100) {
		*--p = (char)('0' + decimal % 10);
		*--p = (char)('0' + decimal / 10 % 10);
	}
	if (decimal > 0)
		*--p = (char)('0' + decimal);
	count = (int)(text + sizeof text - p);
	memcpy(digits, p, (size_t)count);
	*exponent = scale + count - 1;
	return count;
}

/* The bits of the double nearest to (high + a value below 1, if `more`) * 2^exponent; high's top
 * bit is set. */
static uint64_t rounded(uint64_t high, bool more, int exponent)
{
	int top = exponent + 63; /* the value lies in [2^top, 2^(top + 1)) */
	int drop = top >= LOWEST + FRACTION_BITS ? 63 - FRACTION_BITS : LOWEST - exponent;
	uint64_t kept, rest, half;

	if (drop > 64)
		return 0;
	kept = drop == 64 ? 0 : high >> drop;
	rest = drop == 64 ? high : high & ((UINT64_C(1) << drop) - 1);
	half = UINT64_C(1) << (drop - 1);
	kept += rest > half || (rest == half && (more || (kept & 1) != 0));
	/* The hidden bit, and a carry, add to the exponent's field. */
	return top >= LOWEST + FRACTION_BITS
		? ((uint64_t)(top - LOWEST - FRACTION_BITS) << FRACTION_BITS) + kept
		: kept;
}

/* The same for a number of 192 bits: high * 2^64 and low. */
static uint64_t rounded_wide(wide high, uint64_t low, int exponent)
{
	if (high >> 127 == 0) {
		high = high << 1 | low >> 63;
		low <<= 1;
		exponent--;
	}
	return rounded((uint64_t)(high >> 64), (uint64_t)high != 0 || low != 0, exponent + 128);
}

/* False: the power was truncated, and the missing part decides. */
static bool nearest(uint64_t mantissa, int k, uint64_t *bits)
{
	int zeros = __builtin_clzll(mantissa);
	uint64_t m = mantissa << zeros;
	wide low = (wide)m * power(k)[1];
	wide high = (wide)m * power(k)[0] + (uint64_t)(low >> 64);
	int exponent = log2_of_power(k) - 127 - zeros;
	uint64_t last = (uint64_t)low + m;

	*bits = rounded_wide(high, (uint64_t)low, exponent);
	return exact(k) || rounded_wide(high + (last < m), last, exponent) == *bits;
}

bool json_number_nearest(uint64_t mantissa, int64_t exponent, bool cut, double *value)
{
	uint64_t bits = 0, above;

	if (mantissa == 0)
		return !cut && (*value = 0, true);
	if (exponent > 308 ||
		exponent <
			POWER_FIRST) { /* 2^64 * 10^-344 is less than half of the smallest double */
		*value = exponent > 308 ? (double)INFINITY : 0;
		return true;
	}
	if (!nearest(mantissa, (int)exponent, &bits))
		return false;
	if (cut && (!nearest(mantissa + 1, (int)exponent, &above) || above != bits))
		return false;
	if (bits >= UINT64_C(0x7FF0000000000000))
		bits = UINT64_C(0x7FF0000000000000);
	memcpy(value, &bits, sizeof bits);
	return true;
}
