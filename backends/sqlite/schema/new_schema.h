/* What all migrations together make of an empty database. make_new_schema.c runs them in the build
 * and writes the result. */
#ifndef PIERRE_SQLITE_NEW_SCHEMA_H
#define PIERRE_SQLITE_NEW_SCHEMA_H

/* Creates tables, indexes, triggers and rows, in one sqlite3_exec. The table of migrations is not
 * among them. */
extern const char new_schema_sql[];

#endif
