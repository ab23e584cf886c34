/* The files of the library's test. */
#ifndef PIERRE_TEST_SUITES_H
#define PIERRE_TEST_SUITES_H

#include <check.h>

TCase *values_case(void);      /* structs <-> JSON */
TCase *connection_case(void);  /* connecting, breaking, sending again, times */
TCase *hostile_case(void);     /* answers that make no sense */
TCase *transaction_case(void); /* several calls as one */
TCase *handle_case(void);      /* callbacks, blocking calls, paths, times */

#endif
