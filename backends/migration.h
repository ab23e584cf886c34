/* A database's migrations: numbered SQL texts, embedded at build time from migrations/NNNN_name.sql, in order. */
#ifndef PIERRE_MIGRATION_H
#define PIERRE_MIGRATION_H

struct migration {
	int number;        /* 1, 2, 3, …; 0 ends the table */
	const char *name;  /* "0001_base"; NULL ends the table */
	const char *sql;
};

extern const struct migration sqlite_migrations[];
extern const struct migration postgres_migrations[];

#endif
