/* The threads that read: a batch shares one read transaction. argument: the struct worker. */
#ifndef PIERRE_SQLITE_READER_H
#define PIERRE_SQLITE_READER_H

void *reader_main(void *argument);

#endif
