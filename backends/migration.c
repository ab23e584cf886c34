#include "migration.h"

#include <string.h>

#include "../protocol/json/json.h"

int64_t migration_newest(const struct migration *table)
{
	int64_t newest = 0;

	for (; table->name != NULL; table++)
		newest = table->number;
	return newest;
}

void migration_list(struct buffer *applied, const struct migration *migration)
{
	if (applied == NULL)
		return;
	if (applied->length > 0 && applied->data[applied->length - 1] != '[')
		buffer_byte(applied, ',');
	json_write_string(applied, migration->name, strlen(migration->name));
}
