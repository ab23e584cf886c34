/* The PostgreSQL backend, as store.c uses it. */
#ifndef PIERRE_POSTGRES_H
#define PIERRE_POSTGRES_H

#include "../backend.h"

extern const struct backend postgres_backend;

#endif
