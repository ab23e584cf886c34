/* Checks a whole PostgreSQL database without changing it. */
#ifndef PIERRE_PG_VERIFY_H
#define PIERRE_PG_VERIFY_H

#include "../../verify.h"

int verify_postgres(
	struct verify_report *report, const char *url, struct seal *seal, struct err *err);

#endif
