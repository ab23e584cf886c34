/* libFuzzer: an `.env` file, and each of its values as the value of every setting. A setting
 * prints an accepted value in a form that it accepts again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../daemon/settings/envfile.h"
#include "../../daemon/settings/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool numeric(enum setting_type type)
{
	return type != SETTING_TEXT && type != SETTING_URL && type != SETTING_SECRET;
}

static void try_all(const char *text)
{
	struct err err;

	for (size_t i = 0; i < SETTING_ROWS; i++) {
		const struct setting *row = &setting_table[i];
		uint64_t number, again;
		char shown[256];

		if (!numeric(row->type) || settings_value_parse_value(row, text, &number, &err) < 0)
			continue;
		if (row->type == SETTING_MODE && number == 0)
			continue; /* "not set", which has no text */
		settings_value_show_number(row, number, shown, sizeof shown);
		if (settings_value_parse_value(row, shown, &again, &err) < 0 || again != number)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct envfile file = {0};
	struct err err;
	char *text = malloc(size + 1);

	if (text == NULL)
		abort();
	memcpy(text, data, size);
	if (envfile_parse(&file, text, size, "file", &err) == 0)
		for (size_t i = 0; i < file.count; i++) {
			if (strlen(file.entries[i].key) == 0 ||
				envfile_get(&file, file.entries[i].key) == NULL)
				abort();
			try_all(file.entries[i].value);
		}
	envfile_free(&file);
	return 0;
}
