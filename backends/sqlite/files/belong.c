/* A log (write-ahead log or rollback journal) identifies its database only by its file name. If a
 * copy replaces the file of a killed daemon, SQLite replays the old log into the copy.
 *
 * So each log begins with a new mark, a random text in pierre_meta next to the previous one. A
 * log's base, the file without it, must have the mark that the log begins with. If the mark's page
 * was already checkpointed, the base has the one that the log writes. Each start also writes a mark
 * before the first call, which no copy made while the daemon was down can have.
 *
 * A copy made by SQLite's backup while the log was written has another schema cookie. VACUUM INTO
 * and our own backup produce a file that is not in WAL mode.
 *
 * Undecidable cases count as belonging: a file left by a crash must always open. A log of an
 * earlier version or of the old server has no mark. */
#include "belong.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "path.h"

enum {
	HEADER = 100,
	LOG_HEADER = 32,
	FRAME_HEADER = 24,
	JOURNAL_HEADER = 28,
	PAGE_MAX = 65536,
	JOURNAL_RECORDS_MAX = 1 << 20
};
enum { WRITE_VERSION = 18, READ_VERSION = 19, COUNTER = 24, SCHEMA = 40, VERSION_WAL = 2 };

#define NO_MARK "-"

static uint32_t big(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Reads the start of a file; returns the number of bytes, -1 if there is no such file. */
static ssize_t read_begin(const char *path, const char *end, unsigned char *out, size_t size)
{
	char *name = path_beside(path, end);
	int fd = name != NULL ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
	ssize_t length = fd >= 0 ? pread(fd, out, size, 0) : -1;

	if (fd >= 0)
		(void)close(fd);
	free(name);
	return length;
}

/* The checksum of SQLite's log, in the byte order given by its magic number. */
static void add_checksum(uint32_t sum[2], const unsigned char *at, size_t length, bool is_big)
{
	for (const unsigned char *end = at + length; at < end; at += 8) {
		uint32_t one = big(at), two = big(at + 4);

		sum[0] += (is_big ? one : __builtin_bswap32(one)) + sum[1];
		sum[1] += (is_big ? two : __builtin_bswap32(two)) + sum[0];
	}
}

/* Whether header and first page are complete: SQLite treats anything else as an empty log. */
static bool first_page_counts(const unsigned char *log, size_t length)
{
	uint32_t sum[2] = {0, 0}, page_size = big(log + 8);
	const unsigned char *frame = log + LOG_HEADER;
	bool is_big = (big(log) & 1) != 0;

	if ((big(log) & ~1U) != 0x377f0682 || page_size < 512 || page_size > PAGE_MAX ||
		length < LOG_HEADER + FRAME_HEADER + page_size)
		return false;
	add_checksum(sum, log, 24, is_big);
	if (sum[0] != big(log + 24) || sum[1] != big(log + 28) ||
		memcmp(log + 16, frame + 8, 8) != 0)
		return false;
	add_checksum(sum, frame, 8, is_big);
	add_checksum(sum, frame + FRAME_HEADER, page_size, is_big);
	return sum[0] == big(frame + 16) && sum[1] == big(frame + 20);
}

static bool log_holds_pages(const char *path, unsigned *page_size)
{
	enum { SIZE = LOG_HEADER + FRAME_HEADER + PAGE_MAX };
	unsigned char *log = malloc(SIZE);
	ssize_t length = log != NULL ? read_begin(path, "-wal", log, SIZE) : -1;
	bool holds = length >= LOG_HEADER + FRAME_HEADER && first_page_counts(log, (size_t)length);

	if (holds)
		*page_size = big(log + 8);
	free(log);
	return holds;
}

bool belong_has_log(const char *path)
{
	unsigned page_size;

	return log_holds_pages(path, &page_size);
}

static const unsigned char journal_magic[] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};

bool belong_has_journal(const char *path)
{
	unsigned char header[JOURNAL_HEADER];

	return read_begin(path, "-journal", header, sizeof header) == (ssize_t)sizeof header &&
		memcmp(header, journal_magic, sizeof journal_magic) == 0;
}

static int belong_refuse(const char *path, const char *end, const char *why, struct err *err)
{
	return err_exit(err, EX_DATAERR,
		"%.120s%s is not the log of this file: %s. To restore a copy: pierre-dbctl "
		"restore. Otherwise move the log away",
		path, end, why);
}

int belong_check_missing(const char *path, struct err *err)
{
	struct stat status;
	unsigned page_size;
	const char *end = log_holds_pages(path, &page_size) ? "-wal"
		: belong_has_journal(path)                  ? "-journal"
							    : NULL;

	if (end == NULL || (stat(path, &status) == 0 && status.st_size > 0))
		return 0;
	return err_exit(err, EX_DATAERR,
		"%.120s is %s, but its log %s%s holds data: put the file back, or move the log "
		"away to begin anew",
		path, stat(path, &status) == 0 ? "empty" : "missing",
		strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path, end);
}

/* A value of two marks and a number. */
static bool belong_split(const char *text, struct belong_mark *mark)
{
	long long schema;

	if (sscanf(text, "%16s %16s %lld", mark->current, mark->previous, &schema) != 3)
		return false;
	mark->schema = schema;
	return true;
}

enum view { VIEW_MARK, VIEW_NONE, VIEW_UNKNOWN };

static enum view read_mark(struct session *session, struct belong_mark *mark)
{
	sqlite3_stmt *statement = NULL;
	enum view view = VIEW_UNKNOWN;
	int code = sqlite3_prepare_v2(session->db,
		"SELECT value FROM pierre_meta WHERE key = 'log'", -1, &statement, NULL);

	if (code == SQLITE_ERROR && !session_has_table(session, "pierre_meta"))
		view = session_integer(session, "SELECT count(*) FROM sqlite_schema") >= 0
			? VIEW_NONE
			: VIEW_UNKNOWN;
	else if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_DONE)
		view = VIEW_NONE;
	else if (code == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL)
		view = belong_split((const char *)sqlite3_column_text(statement, 0), mark)
			? VIEW_MARK
			: VIEW_UNKNOWN;
	sqlite3_finalize(statement);
	return view;
}

/* mode SESSION_FIXED: the file without its log; SESSION_ALONE: with it. Both read only. */
static enum view belong_look(
	const char *path, enum session_mode mode, struct belong_mark *mark, int64_t *schema)
{
	struct session session = {0};
	struct err err;
	enum view view = VIEW_UNKNOWN;

	if (session_open(&session, path, mode, NULL, &err) == 0) {
		view = read_mark(&session, mark);
		*schema = session_integer(&session, "PRAGMA schema_version");
	}
	session_close(&session);
	return view;
}

static int check_marks(const char *path, const unsigned char *header, struct err *err)
{
	struct belong_mark of_log = {0}, of_file = {0};
	int64_t log_schema = -1, file_schema = -1, schema = big(header + SCHEMA);
	enum view without;

	if (belong_look(path, SESSION_ALONE, &of_log, &log_schema) != VIEW_MARK)
		return 0;
	without = belong_look(path, SESSION_FIXED, &of_file, &file_schema);
	if (without == VIEW_UNKNOWN)
		return 0;
	if (without == VIEW_NONE) /* a file without a mark gets its first one */
		(void)snprintf(of_file.current, sizeof of_file.current, NO_MARK);
	if (strcmp(of_file.current, of_log.current) != 0 &&
		strcmp(of_file.current, of_log.previous) != 0)
		return belong_refuse(path, "-wal", "it was written on another state of it", err);
	if (schema < of_log.schema || (log_schema >= 0 && schema > log_schema))
		return belong_refuse(
			path, "-wal", "the file is a copy that was made in the meantime", err);
	return 0;
}

static int check_log(const char *path, struct err *err)
{
	unsigned char header[HEADER];
	unsigned in_log, in_file;

	if (!log_holds_pages(path, &in_log) ||
		read_begin(path, "", header, sizeof header) < HEADER ||
		memcmp(header, "SQLite format 3", 16) != 0)
		return 0;
	in_file = (unsigned)header[16] << 8 | header[17];
	if ((in_file == 1 ? PAGE_MAX : in_file) != in_log)
		return belong_refuse(path, "-wal", "its page size differs", err);
	if (header[WRITE_VERSION] != VERSION_WAL || header[READ_VERSION] != VERSION_WAL)
		return belong_refuse(path, "-wal", "the file is a copy that had no log", err);
	return check_marks(path, header, err);
}

/* The first page before the interrupted write; the file's change counter is the same or the next
 * one. */
static int check_first_page(const char *path, FILE *journal, const unsigned char *journal_header,
	unsigned counter, struct err *err)
{
	unsigned sector = big(journal_header + 20), page = big(journal_header + 24),
		 records = big(journal_header + 8);
	unsigned char number[4], begin[COUNTER + 4];
	unsigned before;

	if (page < 512 || page > PAGE_MAX || sector < 32 || sector > PAGE_MAX ||
		fseeko(journal, sector, SEEK_SET) != 0)
		return 0;
	for (unsigned i = 0; i < records && i < JOURNAL_RECORDS_MAX; i++) {
		if (fread(number, sizeof number, 1, journal) != 1 ||
			fread(begin, sizeof begin, 1, journal) != 1)
			return 0;
		before = big(begin + COUNTER);
		if (big(number) == 1)
			return counter == before || counter == before + 1
				? 0
				: belong_refuse(path, "-journal",
					  "it was written on another state of it", err);
		if (fseeko(journal, (off_t)page - (off_t)sizeof begin + 4, SEEK_CUR) != 0)
			return 0;
	}
	return 0;
}

static int check_journal(const char *path, struct err *err)
{
	unsigned char header[HEADER], journal_header[JOURNAL_HEADER];
	char *name;
	FILE *journal;
	int result = 0;

	if (!belong_has_journal(path) || read_begin(path, "", header, sizeof header) < HEADER)
		return 0;
	name = path_beside(path, "-journal");
	journal = name != NULL ? fopen(name, "re") : NULL;
	if (journal != NULL && fread(journal_header, sizeof journal_header, 1, journal) == 1)
		result =
			check_first_page(path, journal, journal_header, big(header + COUNTER), err);
	if (journal != NULL)
		(void)fclose(journal);
	free(name);
	return result;
}

int belong_check(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool used = fd >= 0 && path_in_use(fd);

	if (fd >= 0)
		(void)close(fd);
	if (used) /* a program that has it open knows its log */
		return 0;
	if (belong_check_missing(path, err) < 0 || check_journal(path, err) < 0)
		return -1;
	return check_log(path, err);
}

/* Writing */

static void new_mark(char out[17])
{
	unsigned char random[8];

	randombytes_buf(random, sizeof random);
	(void)sodium_bin2hex(out, 17, random, sizeof random);
}

int belong_write(struct session *session, const struct belong_mark *mark)
{
	char sql[256], made[17];

	new_mark(made);
	sqlite3_snprintf(sizeof sql, sql,
		"INSERT INTO pierre_meta (key, value) VALUES ('log', '%s %s %lld') "
		"ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		made, *mark->current != '\0' ? mark->current : NO_MARK, (long long)mark->schema);
	return sqlite3_exec(session->db, sql, NULL, NULL, NULL);
}

int64_t belong_before_checkpoint(struct session *session)
{
	return session_integer(session, "PRAGMA schema_version");
}

void belong_after_checkpoint(struct session *session, struct belong_mark *mark, int64_t schema)
{
	struct belong_mark now = {0};
	enum view view = read_mark(session, &now);

	if (view == VIEW_UNKNOWN || schema < 0)
		return;
	*mark = now;
	mark->schema = schema;
	mark->due = true;
}

/* True when the whole log is in the database. */
static bool move_all(struct session *session, struct belong_mark *mark)
{
	int64_t schema = belong_before_checkpoint(session);
	int pages = 0, moved = 0;

	if (sqlite3_wal_checkpoint_v2(
		    session->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &pages, &moved) != SQLITE_OK ||
		pages != moved)
		return false;
	belong_after_checkpoint(session, mark, schema);
	return mark->due;
}

int belong_begin(struct session *session, struct belong_mark *mark, struct err *err)
{
	/* Another program's read blocks the checkpoint: the log then continues without a new
	 * mark. */
	if (!move_all(session, mark))
		return 0;
	mark->due = false;
	/* SQLite's backup sets the cookie to 1: a restored copy must differ from the copies made of
	 * it. */
	if (mark->schema <= 1 &&
		sqlite3_exec(session->db, "PRAGMA schema_version = 1000", NULL, NULL, NULL) !=
			SQLITE_OK)
		return session_failed(session, "the database cannot be written", err);
	if (session_step(session->begin) != SQLITE_OK || belong_write(session, mark) != SQLITE_OK ||
		session_step(session->commit) != SQLITE_OK)
		return session_failed(session, "the database cannot be written", err);
	(void)move_all(session, mark);
	return 0;
}
