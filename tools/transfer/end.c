#include "end.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

int end_schema_must_be(int64_t version, int64_t known, const char *shown, struct err *err)
{
	if (version < 0)
		return -1;
	if (version == known)
		return 0;
	return err_exit(err, EX_DATAERR,
		version < known ? "%s has the schema %" PRId64 ", not %" PRId64
				  ": start pierre-dbd on it once to upgrade it"
				: "%s has the schema %" PRId64 ", newer than %" PRId64
				  ": use the pierre-dbctl of that version",
		shown, version, known);
}

/* Tables that hold rows of the daemon itself, also where nothing is stored. */
static const char *const filled[] = {"pierre_meta", "pierre_migrations", "usage_rolled"};

int end_table_must_be_empty(int64_t version, const char *name, int64_t rows, struct err *err)
{
	if (version > 0 && rows == 0)
		return 0;
	for (size_t i = 0; i < sizeof filled / sizeof filled[0]; i++)
		if (strcmp(name, filled[i]) == 0)
			return 0;
	return err_exit(err, EX_CANTCREAT,
		"the target is not empty: it has a table %.80s with %" PRId64 " row%s", name, rows,
		rows == 1 ? "" : "s");
}
