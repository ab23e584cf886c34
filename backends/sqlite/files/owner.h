/* Whose database it is. Read only. Thread: the one that uses the connection. */
#ifndef PIERRE_SQLITE_OWNER_H
#define PIERRE_SQLITE_OWNER_H

#include "../session.h"

/* Refuses (65) another program's or an incomplete database; the message names what was found. An
 * empty database is accepted. */
int owner_check(struct session *session, struct err *err);

#endif
