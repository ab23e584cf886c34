/* Opening: the file and its lock, the proof of the key before anything is written, the schema, the threads. */
#include "open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "keys.h"
#include "migrate.h"

/* `sqlite:PATH`, `sqlite:///ABSOLUTE`, with the `?mode=rwc` that other programs write behind it; `:memory:` with and without the slashes. */
int sqlite_parse_url(const char *url, char **path, struct err *err)
{
	const char *start = url + strlen("sqlite:");
	size_t length = strcspn(start, "?");

	*path = NULL;
	if (start[length] == '?' && strcmp(start + length, "?mode=rwc") != 0)
		return err_exit(err, EX_CONFIG, "%s: a SQLite URL takes no options (but ?mode=rwc, which is what happens anyway)", url);
	if (strncmp(start, "//", 2) == 0) {
		start += 2;
		length -= 2;
	}
	if (length == strlen(":memory:") && strncmp(start, ":memory:", length) == 0)
		return 0;
	if (length == 0)
		return err_exit(err, EX_CONFIG, "the database URL \"%s\" names no file; accepted are sqlite:PATH, sqlite::memory: and postgresql://USER:PASSWORD@HOST:PORT/DATABASE", url);
	*path = strndup(start, length);
	return *path != NULL ? 0 : err_exit(err, EX_OSERR, "memory is out");
}

/* A new folder lasts only once the one that holds its name is on the disk; what is written into it is worth no more. */
static int sync_parent(const char *folder, struct err *err)
{
	const char *slash = strrchr(folder, '/');
	char *parent = slash == NULL ? strdup(".") : strndup(folder, slash == folder ? 1 : (size_t)(slash - folder));
	int fd = parent != NULL ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1, result = 0;

	/* One that may be written and not read, or that cannot be synced at all, is as good as it gets. */
	if (fd >= 0 && fsync(fd) != 0 && (errno == EIO || errno == ENOSPC || errno == EDQUOT))
		result = err_exit(err, EX_IOERR, "the folder %s cannot be made durable: %s", folder, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	free(parent);
	return result;
}

/* The folders above the file, each for the owner alone. */
static int make_folders(const char *path, struct err *err)
{
	char *copy = strdup(path);
	int result = 0;

	if (copy == NULL)
		return err_exit(err, EX_OSERR, "memory is out");
	for (char *slash = strchr(copy + 1, '/'); slash != NULL && result == 0; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0700) == 0)
			result = sync_parent(copy, err);
		else if (errno != EEXIST)
			result = err_exit(err, EX_CANTCREAT, "the folder %s cannot be made: %s", copy, strerror(errno));
		*slash = '/';
	}
	free(copy);
	return result;
}

/* The lock tells two daemons apart; SQLite's own locks are of another kind (fcntl) and do not meet it. */
static int lock_file(struct sqlite_store *store, struct err *err)
{
	struct stat file;

	store->lock_fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock_fd < 0)
		return err_exit(err, EX_CANTCREAT, "%s cannot be opened for writing: %s", store->path, strerror(errno));
	if (fstat(store->lock_fd, &file) != 0)
		return err_exit(err, EX_IOERR, "%s: %s", store->path, strerror(errno));
	if (!S_ISREG(file.st_mode))
		return err_exit(err, EX_DATAERR, "%s is no regular file", store->path);
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return err_exit(err, EX_TEMPFAIL, "%s is in use by another daemon", store->path);
	store->watch.device = file.st_dev;
	store->watch.inode = file.st_ino;
	if (watch_start(store, err) < 0)
		return -1;
	return file.st_size > 0 ? MORE : 0;
}

/* A write that was cut off in a rollback journal, which is how a file is kept before it is brought to a log: a connection that only reads
 * may not take it back, and can read nothing before that. */
static int take_back(struct sqlite_store *store, struct err *err)
{
	char *journal = sqlite3_mprintf("%s-journal", store->path);
	bool there = journal == NULL || access(journal, F_OK) == 0;
	struct session session = {0};
	int result = 0;

	sqlite3_free(journal);
	if (!there)
		return 0;
	if (sqlite3_open_v2(store->path, &session.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL) != SQLITE_OK ||
	    session_integer(&session, "SELECT count(*) FROM sqlite_schema") < 0)
		result = session_failed(&session, store->path, err);
	session_close(&session);
	return result;
}

/* Reading only, so that a wrong key or a schema that cannot be used changes nothing. */
static int prove_key(struct sqlite_store *store, struct err *err)
{
	struct session reader = {0};
	int result = take_back(store, err);

	if (result == 0)
		result = session_open(&reader, store->path, SESSION_READ, store->settings.seal, err);
	if (result == 0 && store->settings.seal != NULL)
		result = keys_prove(&reader, err);
	if (result == 0)
		result = migrate_check_owner(&reader, err);
	if (result == 0)
		result = migrate_check(&reader, !store->settings.migrate, err);
	session_close(&reader);
	return result;
}

static int bring_up(struct sqlite_store *store, struct err *err)
{
	struct session *writer = &store->writer.session;
	int used = store->memory ? 0 : lock_file(store, err);

	if (used < 0 || (used == MORE && prove_key(store, err) < 0))
		return -1;
	if (session_open(writer, store->memory ? ":memory:" : store->path, store->memory ? SESSION_MEMORY : SESSION_WRITE,
	                    store->settings.seal, err) < 0 ||
	    migrate_check(writer, !store->settings.migrate && !store->memory, err) < 0)
		return -1;
	if ((store->settings.migrate || store->memory) && migrate_apply(writer, NULL, store->settings.progress, err) < 0)
		return -1;
	if (store->settings.seal != NULL) {
		if (keys_begin(writer, err) < 0)
			return -1;
		store_warn_of_count(&store->settings, 0, seal_count_total(store->settings.seal));
	}
	if (session_prepare_all(writer, err) < 0) {
		err->exit_code = EX_SOFTWARE;
		return -1;
	}
	int64_t schema = migrate_version(writer, err);
	atomic_store(&store->schema, schema);
	return schema < 0 ? -1 : 0;
}

int worker_start(struct worker *worker, void *(*run)(void *), struct err *err)
{
	int error = pthread_create(&worker->thread, NULL, run, worker);

	if (error != 0)
		return err_exit(err, EX_OSERR, "a thread cannot be started: %s", strerror(error));
	worker->started = true;
	return 0;
}

static int start_workers(struct sqlite_store *store, struct err *err)
{
	store->writer.store = store;
	sqlite3_busy_timeout(store->writer.session.db, WRITER_BUSY_MS);
	sqlite_watch_worker(&store->writer);
	if (worker_start(&store->writer, sqlite_writer, err) < 0)
		return -1;
	if (store->memory)
		return 0;
	if (session_open(&store->loop, store->path, SESSION_READ, store->settings.seal, err) < 0)
		return -1;
	sqlite_bound_loop(store);
	if (watch_look(store, err) < 0) /* the first connection has made the log */
		return -1;
	unsigned want = store->settings.readers < 1 ? 1 : store->settings.readers > READERS_MAX ? READERS_MAX : store->settings.readers;
	for (unsigned i = 0; i < want; i++) {
		struct worker *reader = &store->readers[i];

		reader->store = store;
		if (session_open(&reader->session, store->path, SESSION_READ, store->settings.seal, err) < 0)
			return -1;
		sqlite_watch_worker(reader);
	}
	if (checkpointer_start(store, err) < 0)
		return -1;
	/* The count is read by the threads: it is complete before the first one starts. */
	store->reader_count = want;
	for (unsigned i = 0; i < want; i++)
		if (worker_start(&store->readers[i], sqlite_reader, err) < 0)
			return -1;
	return 0;
}

static struct sqlite_store *new_store(const struct store_settings *settings)
{
	struct sqlite_store *store = calloc(1, sizeof *store);

	if (store == NULL)
		return NULL;
	store->store.ops = &sqlite_ops;
	store->settings = *settings;
	if (store->settings.batch == 0)
		store->settings.batch = 1;
	store->lock_fd = -1;
	store->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	list_init(&store->to_writer);
	list_init(&store->to_readers);
	list_init(&store->done);
	queue_init(&store->writes);
	queue_init(&store->reads);
	pthread_mutex_init(&store->done_lock, NULL);
	pthread_mutex_init(&store->error_lock, NULL);
	pthread_mutex_init(&store->checkpointer.lock, NULL);
	pthread_cond_init(&store->checkpointer.wake, NULL);
	pthread_mutex_init(&store->writer.guard, NULL);
	pthread_mutex_init(&store->mover.guard, NULL);
	for (unsigned i = 0; i < READERS_MAX; i++)
		pthread_mutex_init(&store->readers[i].guard, NULL);
	return store;
}

void sqlite_store_free(struct sqlite_store *store)
{
	session_close(&store->loop);
	for (unsigned i = 0; i < READERS_MAX; i++)
		session_close(&store->readers[i].session);
	checkpointer_free(store);
	session_close(&store->writer.session); /* last: it checkpoints the log and removes it */
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	if (store->done_fd >= 0)
		close(store->done_fd);
	queue_destroy(&store->writes);
	queue_destroy(&store->reads);
	pthread_mutex_destroy(&store->done_lock);
	pthread_mutex_destroy(&store->error_lock);
	pthread_mutex_destroy(&store->writer.guard);
	pthread_mutex_destroy(&store->mover.guard);
	for (unsigned i = 0; i < READERS_MAX; i++)
		pthread_mutex_destroy(&store->readers[i].guard);
	watch_free(&store->watch);
	free(store->path);
	free(store);
}

int sqlite_store_open(struct store **ret, const struct store_settings *settings, struct err *err)
{
	struct sqlite_store *store = new_store(settings);

	/* SQLite's count of its memory, which nobody reads, takes a lock over all threads at each allocation. Only before its first use. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (store == NULL || store->done_fd < 0) {
		err_exit(err, EX_OSERR, "memory or descriptors are out");
		goto fail;
	}
	if (sqlite_parse_url(settings->url, &store->path, err) < 0)
		goto fail;
	store->memory = store->path == NULL;
	if ((!store->memory && make_folders(store->path, err) < 0) || bring_up(store, err) < 0)
		goto fail;
	if (start_workers(store, err) < 0) {
		sqlite_ops.close(&store->store, 0);
		return -1;
	}
	*ret = &store->store;
	return 0;
fail:
	if (store != NULL)
		sqlite_store_free(store);
	return -1;
}
