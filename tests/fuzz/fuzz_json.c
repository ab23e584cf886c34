/* libFuzzer: the scanner accepts what jansson accepts, with the same values; its compact form
 * has the same value again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/against_jansson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size > 0
			? size
			: 1); /* a separate block, so that a read beyond its end is detected */

	if (text == NULL)
		abort();
	memcpy(text, data, size);
	(void)against_jansson(text, size);
	free(text);
	return 0;
}
