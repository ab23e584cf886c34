#include "identity.h"

#include <sodium.h>

/* SQLite's backup sets the schema cookie to 1, and belong_begin raises it again. What was written
 * after the copy was made is not in it, so positions of the original do not hold for it. */
int identity_begin(struct session *session, struct err *err)
{
	bool copied = session_integer(session, "PRAGMA schema_version") <= 1;
	unsigned char random[16];
	char name[2 * sizeof random + 1], sql[192];

	randombytes_buf(random, sizeof random);
	(void)sodium_bin2hex(name, sizeof name, random, sizeof random);
	sqlite3_snprintf(sizeof sql, sql,
		"INSERT OR %s INTO pierre_meta (key, value) VALUES ('database', '%s')",
		copied ? "REPLACE" : "IGNORE", name);
	return sqlite3_exec(session->db, sql, NULL, NULL, NULL) == SQLITE_OK
		? 0
		: session_failed(session, "the database cannot be written", err);
}
