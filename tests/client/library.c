/* libpierre-db against a scripted daemon. */
#include <stdlib.h>

#include "suites.h"

int main(void)
{
	Suite *suite = suite_create("libpierre-db");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, values_case());
	suite_add_tcase(suite, connection_case());
	suite_add_tcase(suite, hostile_case());
	suite_add_tcase(suite, handle_case());
	suite_add_tcase(suite, transaction_case());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
