#include "open.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "../secrets/seal_log.h"
#include "files/belong.h"
#include "files/identity.h"
#include "files/owner.h"
#include "files/path.h"
#include "files/surroundings.h"
#include "files/watch.h"
#include "keys.h"
#include "loop.h"
#include "migrate.h"
#include "sqlite_store.h"
#include "threads/checkpoint.h"
#include "threads/reader.h"
#include "threads/worker.h"
#include "threads/writer.h"

/* A rollback journal with an interrupted write: a file has one until it is switched to WAL mode. A
 * read-only connection cannot roll it back, and cannot read before that. */
static int take_back(struct sqlite_store *store, struct err *err)
{
	char *journal = path_beside(store->path, "-journal");
	bool there = journal == NULL || access(journal, F_OK) == 0;
	struct session session = {0};
	int result = 0;

	free(journal);
	if (!there)
		return 0;
	if (sqlite3_open_v2(store->path, &session.db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
		    NULL) != SQLITE_OK ||
		session_integer(&session, "SELECT count(*) FROM sqlite_schema") < 0)
		result = session_failed(&session, store->path, err);
	session_close(&session);
	return result;
}

/* Another program's file is never changed, not even to roll back its interrupted write. What is
 * unreadable at first is checked again later. */
static int check_owner_before(struct sqlite_store *store, struct err *err)
{
	struct session session = {0};
	int result = session_open(&session, store->path, SESSION_FIXED, NULL, err);

	if (result == 0)
		result = owner_check(&session, err);
	session_close(&session);
	return result < 0 && err->exit_code == EX_DATAERR && belong_has_journal(store->path) ? -1
											     : 0;
}

/* Reads only and creates no file: a wrong key or an unusable schema changes nothing. */
static int open_prove(struct sqlite_store *store, struct err *err)
{
	struct session reader = {0};
	enum session_mode mode = path_in_use(store->place.fd) ? SESSION_READ
		: belong_has_log(store->path)                 ? SESSION_ALONE
							      : SESSION_FIXED;
	int result = belong_check(store->path, err);

	if (result == 0 && belong_has_journal(store->path))
		result = check_owner_before(store, err);
	if (result == 0)
		result = take_back(store, err);
	if (result == 0)
		result = session_open(&reader, store->path, mode, store->settings.seal, err);
	if (result == 0)
		result = migrate_check(&reader, false, err);
	if (result == 0)
		result = owner_check(&reader, err);
	if (result == 0 && store->settings.seal != NULL)
		result = keys_prove(&reader, err);
	if (result == 0)
		result = migrate_check(&reader, !store->settings.migrate, err);
	session_close(&reader);
	return result;
}

/* The real path, from which all other names derive. */
static int find_place(struct sqlite_store *store, struct err *err)
{
	if (place_open(&store->place, store->settings.url, err) < 0)
		return -1;
	store->path = store->place.path;
	store->memory = store->path == NULL;
	if (store->memory)
		return 0;
	store->lock_fd = store->place.fd;
	store->watch.device = store->place.status.st_dev;
	store->watch.inode = store->place.status.st_ino;
	if (surroundings_warning(store->path, store->warning, sizeof store->warning))
		store->settings.log(4, "%s", store->warning);
	return watch_start(store, err);
}

/* An owner's trigger that names a missing object fails the calls that fire it, not the start. */
static int prepare_all(struct sqlite_store *store, struct session *writer, struct err *err)
{
	struct err first;

	if (session_prepare_all(writer, err) == 0)
		return 0;
	first = *err;
	(void)sqlite3_db_config(writer->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	int result = session_prepare_all(writer, err);
	(void)sqlite3_db_config(writer->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
	if (result == 0)
		store->settings.log(4,
			"a trigger that is not the daemon's cannot run and fails the calls that "
			"fire it: %s",
			first.message);
	else
		err->exit_code = EX_DATAERR; /* the schema is not what the migrations made */
	return result;
}

int open_bring_up(struct sqlite_store *store, struct err *err)
{
	struct session *writer = &store->writer.session;
	const struct migrate_watch watch = {store->settings.progress, store->settings.log};

	if (find_place(store, err) < 0 ||
		(!store->memory && store->place.status.st_size > 0 && open_prove(store, err) < 0))
		return -1;
	if (session_open(writer, store->memory ? ":memory:" : store->path,
		    store->memory ? SESSION_MEMORY : SESSION_WRITE, store->settings.seal,
		    err) < 0 ||
		migrate_check(writer, !store->settings.migrate && !store->memory, err) < 0)
		return -1;
	if ((store->settings.migrate || store->memory) &&
		migrate_apply(writer, NULL, &watch, err) < 0)
		return -1;
	if (store->settings.seal != NULL) {
		if (keys_begin(writer, err) < 0)
			return -1;
		seal_log_warn(&store->settings, 0, seal_count_total(store->settings.seal));
	}
	/* A database in memory has just been created: its schema needs no check, and each statement
	 * is prepared when it is first needed. */
	if ((!store->memory && prepare_all(store, writer, err) < 0) ||
		identity_begin(writer, err) < 0 ||
		(!store->memory && belong_begin(writer, &store->mark, err) < 0))
		return -1;
	int64_t schema = migrate_version(writer, err);
	atomic_store(&store->schema, schema);
	return schema < 0 ? -1 : 0;
}

int open_threads(struct sqlite_store *store, struct err *err)
{
	store->writer.store = store;
	sqlite3_busy_timeout(store->writer.session.db, WRITER_BUSY_MS);
	worker_watch(&store->writer);
	if (worker_start(&store->writer, writer_main, err) < 0)
		return -1;
	if (store->memory)
		return 0;
	if (session_open(&store->loop, store->path, SESSION_READ, store->settings.seal, err) < 0)
		return -1;
	loop_bound(store);
	if (watch_look(store, err) < 0) /* the first connection has created the log */
		return -1;
	unsigned want = store->settings.readers < 1     ? 1
		: store->settings.readers > READERS_MAX ? READERS_MAX
							: store->settings.readers;
	for (unsigned i = 0; i < want; i++) {
		struct worker *reader = &store->readers[i];

		reader->store = store;
		if (session_open(&reader->session, store->path, SESSION_READ, store->settings.seal,
			    err) < 0)
			return -1;
		worker_watch(reader);
	}
	if (checkpoint_start(store, err) < 0)
		return -1;
	/* The threads read the count: it is final before the first one starts. */
	store->reader_count = want;
	store->large.running_max = want > 1 ? want - 1 : 1;
	for (unsigned i = 0; i < want; i++)
		if (worker_start(&store->readers[i], reader_main, err) < 0)
			return -1;
	return 0;
}
