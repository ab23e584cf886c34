/* A VFS over SQLite's own that writes in larger pieces, for connections that write. See vfs.c. */
#ifndef PIERRE_SQLITE_VFS_H
#define PIERRE_SQLITE_VFS_H

#include <sqlite3.h>

/* Its name, for sqlite3_open_v2; NULL, which is SQLite's own, when the system's is not as expected.
 * Any thread. */
const char *vfs_name(void);
/* What this connection writes to the database itself, which are checkpoints, goes on to the disk in
 * small portions, so that syncs of the log do not queue behind all of it. fd: open on the same file
 * for as long as the connection is. moved: called after each portion, by the thread that writes;
 * NULL: nothing is. fd -1: at the pace of the system again. */
void vfs_pace(sqlite3 *db, int fd, void (*moved)(void *argument), void *argument);

#endif
