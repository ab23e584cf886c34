#include "socket_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool socket_place_of(enum socket_place_kind kind, struct socket_place *place)
{
	static const char *const variables[] = {
		[SOCKET_PLACE_RUNTIME] = "RUNTIME_DIRECTORY",
		[SOCKET_PLACE_SESSION] = "XDG_RUNTIME_DIR",
		[SOCKET_PLACE_OWN] = NULL,
	};

	*place = (struct socket_place){.kind = kind, .variable = variables[kind]};
	if (kind == SOCKET_PLACE_OWN) {
		(void)snprintf(place->own, sizeof place->own, "/tmp/pierre-dbd-%lu",
			(unsigned long)geteuid());
		place->folder = place->own;
	} else {
		place->folder = getenv(place->variable);
	}
	if (place->folder == NULL || *place->folder == '\0')
		return false;
	place->length =
		kind == SOCKET_PLACE_RUNTIME ? strcspn(place->folder, ":") : strlen(place->folder);
	return true;
}

void socket_place_find(struct socket_place *place)
{
	for (unsigned kind = 0; !socket_place_of((enum socket_place_kind)kind, place);)
		kind++; /* the last one always exists */
}

const char *socket_place_objection(const struct stat *folder)
{
	if (!S_ISDIR(folder->st_mode))
		return "is not a folder";
	if (folder->st_uid != geteuid())
		return "belongs to another user";
	return (folder->st_mode & 077) != 0 ? "is accessible to others (chmod 700)" : NULL;
}
