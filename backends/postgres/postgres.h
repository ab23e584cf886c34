/* PostgreSQL, as one of the databases that store.c knows. */
#ifndef PIERRE_POSTGRES_H
#define PIERRE_POSTGRES_H

#include "../backend.h"

extern const struct backend postgres_backend;

#endif
