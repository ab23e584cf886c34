/* The files of the library's test. */
#ifndef PIERRE_TEST_SUITES_H
#define PIERRE_TEST_SUITES_H

#include <check.h>

TCase *values_case(void);      /* structs <-> JSON */
TCase *connection_case(void);  /* connects, disconnects, resent calls, timeouts */
TCase *hostile_case(void);     /* invalid answers */
TCase *transaction_case(void); /* several calls as one */
TCase *handle_case(void);      /* callbacks, blocking calls, paths, times */

#endif
