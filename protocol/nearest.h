/* The name that was meant by a misspelt one, looked for among those that there are: "did you mean
 * …?".
 *
 *     struct nearest nearest = {.wanted = "heatlh"};
 *     nearest_offer(&nearest, "health"); …
 *     const char *meant = nearest_name(&nearest);
 *
 * Plain data; the texts are the caller's and outlive it. */
#ifndef PIERRE_NEAREST_H
#define PIERRE_NEAREST_H

struct nearest {
	const char *wanted, *name; /* name: the nearest so far, NULL before the first */
	unsigned distance; /* letters to change, insert, remove or swap; 0: an exact match */
};

/* name: NULL is skipped, for rows of a table without one. Of equally near names the first is
 * kept. */
void nearest_offer(struct nearest *nearest, const char *name);
/* The nearest name. At most a quarter of the letters, and one more, may differ, but not all. NULL
 * when none is near. */
const char *nearest_name(const struct nearest *nearest);

#endif
