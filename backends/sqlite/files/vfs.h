/* A VFS over SQLite's own that writes in larger pieces, for connections that write. See vfs.c. */
#ifndef PIERRE_SQLITE_VFS_H
#define PIERRE_SQLITE_VFS_H

#include <sqlite3.h>

/* Its name for sqlite3_open_v2; NULL, which selects SQLite's own, if the system's VFS is not as
 * expected. Any thread. */
const char *vfs_name(void);
/* Paces this connection's writes to the database file, which are checkpoints: they reach the disk
 * in small portions, and syncs of the log need not wait for all of it.
 *
 * fd: open on the same file for the connection's life; -1: stops pacing. moved: called after each
 * portion by the writing thread; NULL: none. */
void vfs_pace(sqlite3 *db, int fd, void (*moved)(void *argument), void *argument);

#endif
