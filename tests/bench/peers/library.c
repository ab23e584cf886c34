/* The client library alone: blocking calls of get_user, one after the other. What a client in
 * another language adds shows in comparison. --target is the daemon's socket. */
#include <pierre-db.h>
#include <string.h>

#include "peer.h"

static void look_up(struct pierre *db, const char *user_id)
{
	struct pierre_error error;
	struct pierre_user *user;

	if (pierre_get_user(db, user_id, &user, &error) != 0)
		peer_die("get_user: %s", error.message);
	if (user == NULL)
		peer_die("get_user: %s does not exist", user_id);
	pierre_user_free(user);
}

int main(int argc, char **argv)
{
	struct peer_options options;
	struct peer_keys keys;
	struct peer_times times;
	struct pierre *db;

	peer_options_read(&options, argc, argv);
	if (strcmp(options.method, "get_user") != 0)
		peer_die("this program calls get_user alone");
	peer_keys_read(&keys, options.keys);
	db = pierre_new(options.target);
	if (db == NULL)
		peer_die("out of memory");
	look_up(db, peer_keys_random(&keys)); /* connects */
	peer_times_begin(&times, options.calls);
	for (size_t i = 0; i < options.calls; i++) {
		uint64_t began = peer_clock();

		look_up(db, peer_keys_random(&keys));
		peer_times_add(&times, peer_clock() - began);
	}
	peer_times_print(&times, "library");
	pierre_free(db);
	return 0;
}
