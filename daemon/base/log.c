#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../protocol/state.h"
#include "../../protocol/value.h"

enum { LINE_MAX_BYTES = 4096, RING_BYTES = 256 * 1024, STOP_WAIT_SECONDS = 1 };

static struct {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	pthread_t thread;
	bool running, stopping;
	char *ring;
	size_t start, length; /* of what is buffered, in the ring */
	uint64_t lines, dropped, dropped_logged;
	int level;
	enum { FORM_UNKNOWN, FORM_PLAIN, FORM_JOURNAL } form;
} log_state = {
	.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER, .level = LOG_INFO};

static const char *const level_names[] = {
	"emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"};

/* The journal is what stderr goes to when $JOURNAL_STREAM names its device and inode. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
		fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

struct line {
	char text[LINE_MAX_BYTES];
	size_t length;
};

/* Leaves room for the closing quote and the newline. */
static void log_put(struct line *line, const char *bytes, size_t n)
{
	size_t room = sizeof line->text - 2 - line->length;

	if (n > room)
		n = room;
	memcpy(line->text + line->length, bytes, n);
	line->length += n;
}

static void log_put_text(struct line *line, const char *text)
{
	log_put(line, text, strlen(text));
}

static bool plain_value(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if ((unsigned char)*text <= ' ' || *text == '"' || *text == '=' || *text == '\\' ||
			*text == 0x7f)
			return false;
	return true;
}

/* Quoted where a reader of key=value would stumble; control characters never reach the log raw. */
static void log_put_value(struct line *line, const char *text)
{
	if (plain_value(text)) {
		log_put_text(line, text);
		return;
	}
	log_put(line, "\"", 1);
	for (; *text != '\0' && line->length < sizeof line->text - 8; text++) {
		unsigned char byte = (unsigned char)*text;
		char escape[5];

		if (byte == '"' || byte == '\\') {
			log_put(line, "\\", 1);
			log_put(line, text, 1);
		} else if (byte == '\n') {
			log_put(line, "\\n", 2);
		} else if (byte < ' ' || byte == 0x7f) {
			(void)snprintf(escape, sizeof escape, "\\x%02x", byte);
			log_put(line, escape, 4);
		} else {
			log_put(line, text, 1);
		}
	}
	log_put(line, "\"", 1);
}

static void put_pair(struct line *line, const struct log_pair *pair)
{
	char number[40];

	if (pair->kind == LOG_PAIR_NONE || (pair->kind == LOG_PAIR_TEXT && pair->text == NULL))
		return;
	log_put(line, " ", 1);
	log_put_text(line, pair->key);
	log_put(line, "=", 1);
	if (pair->kind == LOG_PAIR_TEXT) {
		log_put_value(line, pair->text);
		return;
	}
	if (pair->kind == LOG_PAIR_NUMBER)
		(void)snprintf(number, sizeof number, "%lld", (long long)pair->number);
	else
		(void)snprintf(number, sizeof number, "%.3f", pair->real);
	log_put_text(line, number);
}

static void log_begin(struct line *line, int level)
{
	char start[64];

	line->length = 0;
	if (log_state.form == FORM_UNKNOWN)
		log_state.form = stderr_is_journal() ? FORM_JOURNAL : FORM_PLAIN;
	if (log_state.form == FORM_JOURNAL) {
		(void)snprintf(start, sizeof start, "<%d>level=%s msg=", level, level_names[level]);
	} else {
		char time_text[TIMESTAMP_TEXT_MAX];
		size_t length = timestamp_format(timestamp_now(), time_text);

		log_put_text(line, "time=");
		log_put(line, time_text, length);
		(void)snprintf(start, sizeof start, " level=%s msg=", level_names[level]);
	}
	log_put_text(line, start);
}

/* Blocks; false when stderr takes nothing any more (closed pipe). */
static bool log_write_all(const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = write(STDERR_FILENO, bytes, length);

		if (n >= 0) {
			bytes += n;
			length -= (size_t)n;
		} else if (errno == EAGAIN) {
			struct pollfd pollfd = {.fd = STDERR_FILENO, .events = POLLOUT};

			(void)poll(&pollfd, 1, -1);
			if ((pollfd.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0 &&
				(pollfd.revents & POLLOUT) == 0)
				return false;
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

/* Holding the lock. */
static void ring_put(const char *bytes, size_t length)
{
	size_t at = (log_state.start + log_state.length) % RING_BYTES;
	size_t first = RING_BYTES - at < length ? RING_BYTES - at : length;

	memcpy(log_state.ring + at, bytes, first);
	memcpy(log_state.ring, bytes + first, length - first);
	log_state.length += length;
}

/* Holding the lock: tells of lines that were dropped, once there is room again. */
static void ring_tell_dropped(void)
{
	struct line line;
	char number[32];

	log_begin(&line, LOG_WARNING);
	log_put_value(&line, "log lines were dropped");
	(void)snprintf(number, sizeof number, " count=%llu",
		(unsigned long long)(log_state.dropped - log_state.dropped_logged));
	log_put_text(&line, number);
	line.text[line.length++] = '\n';
	if (RING_BYTES - log_state.length < line.length)
		return;
	ring_put(line.text, line.length);
	log_state.dropped_logged = log_state.dropped;
}

static void send_line(const struct line *line)
{
	(void)pthread_mutex_lock(&log_state.lock);
	log_state.lines++;
	if (!log_state.running) {
		if (!log_write_all(line->text, line->length))
			log_state.dropped++;
	} else if (RING_BYTES - log_state.length < line->length) {
		log_state.dropped++;
	} else {
		if (log_state.dropped != log_state.dropped_logged && log_state.length == 0)
			ring_tell_dropped();
		ring_put(line->text, line->length);
		(void)pthread_cond_signal(&log_state.filled);
	}
	(void)pthread_mutex_unlock(&log_state.lock);
}

static void *writer(void *unused)
{
	static char piece[16 * 1024];

	(void)unused;
	(void)pthread_mutex_lock(&log_state.lock);
	for (;;) {
		size_t length = log_state.length < sizeof piece ? log_state.length : sizeof piece;

		if (length == 0) {
			if (log_state.stopping)
				break;
			(void)pthread_cond_wait(&log_state.filled, &log_state.lock);
			continue;
		}
		if (length > RING_BYTES - log_state.start)
			length = RING_BYTES - log_state.start;
		memcpy(piece, log_state.ring + log_state.start, length);
		log_state.start = (log_state.start + length) % RING_BYTES;
		log_state.length -= length;
		(void)pthread_mutex_unlock(&log_state.lock);
		bool written = log_write_all(piece, length);
		(void)pthread_mutex_lock(&log_state.lock);
		for (size_t i = 0; !written && i < length; i++)
			log_state.dropped += piece[i] == '\n';
	}
	(void)pthread_mutex_unlock(&log_state.lock);
	return NULL;
}

void log_pairs(int level, const char *message, const struct log_pair *pairs, unsigned long count)
{
	struct line line;

	if (level > __atomic_load_n(&log_state.level, __ATOMIC_RELAXED))
		return;
	log_begin(&line, level & LOG_PRIMASK);
	log_put_value(&line, message);
	for (unsigned long i = 0; i < count; i++)
		put_pair(&line, &pairs[i]);
	line.text[line.length++] = '\n';
	send_line(&line);
}

void log_printf(int level, const char *format, ...)
{
	char message[1024];
	va_list arguments;

	if (level > __atomic_load_n(&log_state.level, __ATOMIC_RELAXED))
		return;
	va_start(arguments, format);
	(void)vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	log_event(level, message);
}

/* What a state machine's change is at debug level. */
static void log_change(
	const struct state_machine *machine, uint64_t number, unsigned from, unsigned to)
{
	log_event(LOG_DEBUG, "state changed", log_text("of", machine->what),
		log_number("number", number), log_text("from", state_name(machine, from)),
		log_text("to", state_name(machine, to)));
}

void log_set_level(int level)
{
	__atomic_store_n(&log_state.level, level, __ATOMIC_RELAXED);
	state_observe(level >= LOG_DEBUG ? log_change : NULL);
}

void log_start(void)
{
	log_state.form = stderr_is_journal() ? FORM_JOURNAL : FORM_PLAIN;
	log_state.ring = malloc(RING_BYTES);
	log_state.stopping = false;
	if (log_state.ring == NULL)
		return;
	(void)pthread_mutex_lock(&log_state.lock);
	log_state.running = pthread_create(&log_state.thread, NULL, writer, NULL) == 0;
	(void)pthread_mutex_unlock(&log_state.lock);
}

void log_stop(void)
{
	struct timespec until;
	bool running;

	(void)pthread_mutex_lock(&log_state.lock);
	running = log_state.running;
	log_state.stopping = true;
	(void)pthread_cond_signal(&log_state.filled);
	(void)pthread_mutex_unlock(&log_state.lock);
	if (running) {
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += STOP_WAIT_SECONDS;
		/* A reader that takes nothing must not keep the daemon from ending: its thread then
		 * dies with the process. */
		if (pthread_timedjoin_np(log_state.thread, NULL, &until) != 0)
			return;
		log_state.running = false;
	}
	free(log_state.ring);
	log_state.ring = NULL;
}

uint64_t log_lines(void)
{
	(void)pthread_mutex_lock(&log_state.lock);
	uint64_t lines = log_state.lines;
	(void)pthread_mutex_unlock(&log_state.lock);
	return lines;
}

uint64_t log_dropped(void)
{
	(void)pthread_mutex_lock(&log_state.lock);
	uint64_t dropped = log_state.dropped;
	(void)pthread_mutex_unlock(&log_state.lock);
	return dropped;
}
