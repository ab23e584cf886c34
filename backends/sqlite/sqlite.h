/* SQLite, as one of the databases that store.c knows. */
#ifndef PIERRE_SQLITE_H
#define PIERRE_SQLITE_H

#include "../backend.h"

extern const struct backend sqlite_backend;

#endif
