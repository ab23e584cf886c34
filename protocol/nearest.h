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
	unsigned distance; /* letters to change, put in, leave out or swap; 0: it is that name */
};

/* name: NULL is passed over, as where a row of a table has none. The first of equally near ones is
 * kept. */
void nearest_offer(struct nearest *nearest, const char *name);
/* What is near enough to be meant: a letter in four, and one more, may differ, but not all. NULL
 * when none is. */
const char *nearest_name(const struct nearest *nearest);

#endif
