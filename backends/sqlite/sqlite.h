/* The SQLite backend, as store.c uses it. */
#ifndef PIERRE_SQLITE_H
#define PIERRE_SQLITE_H

#include "../backend.h"

extern const struct backend sqlite_backend;

#endif
