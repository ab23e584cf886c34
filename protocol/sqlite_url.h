/* Database URLs of SQLite: the one place that knows their form, for the daemon, its tools and the
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
	char *literal;   /* the same before decoding; NULL when that changes nothing */
	bool must_exist; /* ?mode=rw: nothing is created */
};

bool sqlite_url_is_one(const char *url);
/* exit_code 78 for what is not accepted. sqlite_url_free in either case. */
int sqlite_url_parse(const char *url, struct sqlite_url *out, struct err *err);
void sqlite_url_free(struct sqlite_url *url);
/* The URL of a file, whatever characters its name holds; false when it does not fit. */
bool sqlite_url_of_file(const char *path, char *out, size_t size);

/* Of any database URL: cuts white space around it, in place; returns where it begins. */
char *sqlite_url_trim(char *text);
/* A text for a message: control characters as \xNN, long ones cut. */
const char *sqlite_url_show(const char *text, char *out, size_t size);
bool sqlite_url_has_control(const char *text);

#endif
