/* The thread that writes. argument: its struct worker. */
#ifndef PIERRE_SQLITE_WRITER_H
#define PIERRE_SQLITE_WRITER_H

/* How long SQLite waits for an outside lock before the writer checks its calls' deadlines. */
enum { WRITER_BUSY_MS = 50 };

void *writer_main(void *argument);

#endif
