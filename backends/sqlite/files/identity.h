/* The database's name, a random text in pierre_meta. It tells positions of different databases
 * apart (position.h). */
#ifndef PIERRE_SQLITE_IDENTITY_H
#define PIERRE_SQLITE_IDENTITY_H

#include "../session.h"

/* At start, before belong_begin: names a database that has no name, or is a copy. */
int identity_begin(struct session *session, struct err *err);

#endif
