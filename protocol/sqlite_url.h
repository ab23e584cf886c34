/* Database URLs of SQLite: the only place that parses them, for the daemon, its tools and the
 * client. Thread: no state. */
#ifndef PIERRE_SQLITE_URL_H
#define PIERRE_SQLITE_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define DATABASE_URL_FORMS                                                                         \
	"sqlite:PATH, sqlite::memory: and postgresql://USER:PASSWORD@HOST:PORT/DATABASE"

struct sqlite_url {
	char *path;      /* the file's name, decoded; NULL: in memory */
	char *literal;   /* the same before decoding; NULL when equal */
	bool must_exist; /* ?mode=rw: no file is created */
};

bool sqlite_url_is_one(const char *url);
/* exit_code 78 for an invalid URL. Call sqlite_url_free in either case. */
int sqlite_url_parse(const char *url, struct sqlite_url *out, struct err *err);
void sqlite_url_free(struct sqlite_url *url);
/* Writes the URL of a file, for any characters in its name; false when it does not fit. */
bool sqlite_url_of_file(const char *path, char *out, size_t size);

/* For any database URL: removes surrounding white space in place; returns the start. */
char *sqlite_url_trim(char *text);
/* A text for a message: control characters as \xNN, long ones cut. */
const char *sqlite_url_show(const char *text, char *out, size_t size);
bool sqlite_url_has_control(const char *text);

#endif
