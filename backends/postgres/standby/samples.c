#include "samples.h"

#include <stddef.h>

static const struct sample *sample_at(const struct samples *samples, unsigned place)
{
	return &samples->kept[(samples->first + place) % SAMPLES_KEPT];
}

void samples_init(struct samples *samples, uint64_t span_ns)
{
	samples->first = samples->count = 0;
	samples->asked = (struct sample){.number = 0};
	/* Half of the ring for the span; the rest is reserve. */
	samples->spacing = span_ns / (SAMPLES_KEPT / 2);
}

void samples_ask(struct samples *samples, uint64_t now)
{
	samples->asked.number++;
	samples->asked.sent = now;
}

/* Whether the last sample may be replaced: the one before it is near enough to the new one. */
static bool dense(const struct samples *samples)
{
	return samples->count >= 2 &&
		samples->asked.sent - sample_at(samples, samples->count - 2)->sent <
		samples->spacing;
}

void samples_take(struct samples *samples, uint64_t log)
{
	const struct sample *last = samples_last(samples);

	if (last != NULL && log < last->log)
		samples->first = samples->count = 0;
	if (dense(samples)) {
		samples->count--;
	} else if (samples->count == SAMPLES_KEPT) {
		samples->first = (samples->first + 1) % SAMPLES_KEPT;
		samples->count--;
	}
	samples->asked.log = log;
	samples->kept[(samples->first + samples->count) % SAMPLES_KEPT] = samples->asked;
	samples->count++;
}

const struct sample *samples_last(const struct samples *samples)
{
	return samples->count > 0 ? sample_at(samples, samples->count - 1) : NULL;
}

/* The first place whose sample is not before the wanted one. */
static unsigned place_of(const struct samples *samples, const struct sample *wanted)
{
	unsigned low = 0, high = samples->count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		const struct sample *sample = sample_at(samples, middle);

		if (sample->number < wanted->number || sample->sent < wanted->sent ||
			sample->log < wanted->log)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct sample *sample_from(const struct samples *samples, const struct sample *wanted)
{
	unsigned place = place_of(samples, wanted);

	return place < samples->count ? sample_at(samples, place) : NULL;
}

const struct sample *samples_covering(const struct samples *samples, uint64_t number)
{
	return sample_from(samples, &(struct sample){.number = number});
}

const struct sample *samples_since(const struct samples *samples, uint64_t sent)
{
	return sample_from(samples, &(struct sample){.sent = sent});
}

const struct sample *samples_reached(const struct samples *samples, uint64_t log)
{
	unsigned place = place_of(samples, &(struct sample){.log = log + 1});

	return place > 0 ? sample_at(samples, place - 1) : NULL;
}
