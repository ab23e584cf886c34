/* Whose database is it? Reading only. Thread: whoever holds the connection. */
#ifndef PIERRE_SQLITE_OWNER_H
#define PIERRE_SQLITE_OWNER_H

#include "../session.h"

/* Refuses (65) what is not an installation's, or not whole, naming what was found. An empty
 * database is fine. */
int owner_check(struct session *session, struct err *err);

#endif
