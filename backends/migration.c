#include "migration.h"

#include "../protocol/json/json_add.h"

int64_t migration_newest(const struct migration *table)
{
	int64_t newest = 0;

	for (; table->name != NULL; table++)
		newest = table->number;
	return newest;
}

void migration_list(struct buffer *applied, const struct migration *migration)
{
	if (applied != NULL)
		json_add_text(applied, NULL, migration->name);
}

void migration_describe(struct buffer *out, int64_t schema, const struct buffer *applied)
{
	json_add_object(out, NULL);
	json_add_integer(out, "schema_version", schema);
	json_add_name(out, "applied");
	buffer_join(out, applied);
	json_add_end(out, '}');
}
