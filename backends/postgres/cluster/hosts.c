#include "hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *hosts_option(const PQconninfoOption *options, const char *name)
{
	for (; options != NULL && options->keyword != NULL; options++)
		if (strcmp(options->keyword, name) == 0)
			return options->val;
	return NULL;
}

static unsigned elements(const char *list)
{
	unsigned count = 1;

	for (; list != NULL && (list = strchr(list, ',')) != NULL; list++)
		count++;
	return count;
}

static const char *element(const char *list, unsigned index, size_t *length)
{
	for (; index > 0; index--)
		list += strcspn(list, ",") + 1;
	*length = strcspn(list, ",");
	return list;
}

/* `left` elements of the list, from `first` on and around its end. */
static char *list_from(const char *list, unsigned first, unsigned left)
{
	unsigned count = elements(list);
	char *copy = malloc(strlen(list) + 2), *end = copy;

	if (copy == NULL)
		return NULL;
	for (unsigned i = 0; i < left; i++) {
		size_t length;
		const char *from = element(list, (first + i) % count, &length);

		memcpy(end, from, length);
		end += length;
		*end++ = ',';
	}
	end[-1] = '\0';
	return copy;
}

/* A list of one element is one for all hosts. */
static bool hosts_select(
	char **ret, const char *list, const struct hosts *hosts, unsigned first, unsigned left)
{
	if (list == NULL || elements(list) != hosts->count)
		return true;
	*ret = list_from(list, first, left);
	return *ret != NULL;
}

static unsigned count_hosts(const PQconninfoOption *options)
{
	const char *host = hosts_option(options, "host");

	return elements(host != NULL ? host : hosts_option(options, "hostaddr"));
}

bool hosts_init(struct hosts *ret, const struct target *target)
{
	PQconninfoOption *options = PQconninfoParse(target->url, NULL);
	unsigned first, left;
	bool good = true;

	*ret = (struct hosts){.count = count_hosts(options)};

	ret->chosen = hosts_option(options, "target_session_attrs") != NULL ||
		getenv("PGTARGETSESSIONATTRS") != NULL;
	left = target->only                   ? 1
		: target->passed < ret->count ? ret->count - target->passed
					      : ret->count;
	first = (target->first + target->passed) % ret->count;
	if (first > 0 || left < ret->count)
		good = hosts_select(&ret->host, hosts_option(options, "host"), ret, first, left) &&
			hosts_select(&ret->hostaddr, hosts_option(options, "hostaddr"), ret, first,
				left) &&
			hosts_select(&ret->port, hosts_option(options, "port"), ret, first, left);
	PQconninfoFree(options);
	return good;
}

void hosts_free(struct hosts *hosts)
{
	free(hosts->host);
	free(hosts->hostaddr);
	free(hosts->port);
}

unsigned hosts_count(const char *url)
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);
	unsigned count = count_hosts(options);

	PQconninfoFree(options);
	return count;
}

/* The element for a host; of a list of one element that one. */
static const char *element_for(const char *list, unsigned host, size_t *length)
{
	return element(list, elements(list) == 1 ? 0 : host, length);
}

void hosts_name(const char *url, unsigned host, char *out, size_t size)
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);
	const char *names = hosts_option(options, "host"), *ports = hosts_option(options, "port");
	size_t name_length, port_length;
	const char *name, *port;

	if (names == NULL)
		names = hosts_option(options, "hostaddr");
	name = element_for(names != NULL ? names : "localhost", host, &name_length);
	port = element_for(ports != NULL ? ports : "5432", host, &port_length);
	(void)snprintf(out, size, "%.*s:%.*s", (int)name_length, name, (int)port_length, port);
	PQconninfoFree(options);
}

static bool element_is(const char *list, unsigned index, const char *text)
{
	size_t length;

	if (list == NULL || text == NULL)
		return true;
	list = element_for(list, index, &length);
	return strlen(text) == length && memcmp(list, text, length) == 0;
}

unsigned hosts_find(const char *url, const PGconn *pq)
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);
	const char *host = hosts_option(options, "host"), *port = hosts_option(options, "port");
	unsigned count = count_hosts(options), found = 0;

	if (host == NULL)
		host = hosts_option(options, "hostaddr");
	for (unsigned i = count; i-- > 0;)
		if (element_is(host, i, PQhost(pq)) && element_is(port, i, PQport(pq)))
			found = i;
	PQconninfoFree(options);
	return found;
}

unsigned hosts_passed(const char *url, const PGconn *pq, unsigned first, unsigned passed)
{
	unsigned count = hosts_count(url);
	unsigned behind = (hosts_find(url, pq) + count - (first + passed) % count) % count;

	return passed + behind + 1;
}
