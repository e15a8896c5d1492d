#include "service/domain_route_private.h"

#include "base/buf.h"
#include "base/mem.h"
#include "crypto/hash.h"

#include <string.h>

#define ARENA_BYTES (64u * 1024)
/* Longer names of destinations end in a digest of the whole. */
#define DESTINATION_MAX 200u

struct domain_route *domain_route_ref(struct domain_route *route)
{
	route->references++;
	return route;
}

void domain_route_unref(struct domain_route *route)
{
	if (route == NULL || --route->references > 0)
		return;
	shaping_unref(route->shaping);
	sts_policy_unref(route->sts);
	arena_clear(&route->arena);
	mem_free(route);
}

static struct view keep(struct domain_route *route, struct view text)
{
	struct view copy = VIEW_NONE;
	enum err err = arena_dup(&route->arena, text, &copy);
	ASSERT(err == ERR_OK); /* at most MX_HOSTS_MAX names, each no longer than DNS allows */
	return copy;
}

static int by_name(const void *a, const void *b)
{
	return view_compare(*(const struct view *)a, *(const struct view *)b);
}

/* The same for every domain with these hosts, whatever their order: they are one place to send to. */
static void name_destination(struct domain_route *route)
{
	struct view sorted[MX_HOSTS_MAX];
	struct buf key = { 0 };
	size_t count = route->hosts.count;
	memcpy(sorted, route->hosts.names, count * sizeof sorted[0]);
	qsort(sorted, count, sizeof sorted[0], by_name);
	enum err err = buf_append(&key, VIEW("mx/"));
	for (size_t i = 0; i < count && err == ERR_OK; i++)
		err = buf_append_format(&key, "%s%.*s", i > 0 ? "," : "", VIEW_ARG(sorted[i]));
	ASSERT(err == ERR_OK);
	route->destination = keep(route, view_sub(buf_view(&key), 0, DESTINATION_MAX));
	if (key.len > DESTINATION_MAX) {
		/* Nobody can make another set of names that ends up at the same destination. */
		uint8_t digest[HASH_BYTES];
		char tail[36];
		hash_once(buf_view(&key), digest);
		size_t n = (size_t)snprintf(tail, sizeof tail, "+");
		for (size_t i = 0; i < 16; i++)
			n += (size_t)snprintf(tail + n, sizeof tail - n, "%02x", digest[i]);
		memcpy((uint8_t *)(uintptr_t)route->destination.ptr + route->destination.len - n, tail, n);
	}
	buf_clear(&key);
}

static void name_site(struct domain_route *route)
{
	if (route->shaping != NULL)
		route->shaping_site = shaping_find_site(route->shaping, route->hosts.count, route->hosts.names);
	route->site = route->shaping_site != NULL ? route->shaping_site->name
						  : view_from(route->destination, strlen("mx/"));
}

struct domain_route *domain_route_new(struct view domain)
{
	struct domain_route *route = mem_alloc(sizeof *route);
	route->references = 1;
	arena_init(&route->arena, ARENA_BYTES);
	route->domain = keep(route, domain);
	route->hosts.result = MX_TEMPORARY;
	return route;
}

void domain_route_set_problem(struct domain_route *route, enum mx_result result, const char *reply)
{
	struct buf text = { 0 };
	enum err err = buf_append_format(&text, "%.300s", reply);
	ASSERT(err == ERR_OK);
	route->hosts.result = result;
	route->problem = (const char *)keep(route, view_of(buf_cstr(&text), text.len + 1)).ptr;
	buf_clear(&text);
}

/* Names are borrowed from an answer whose memory goes: the few that count are kept. */
void domain_route_set_hosts(struct domain_route *route, const struct mx_hosts *hosts, struct shaping *shaping)
{
	route->shaping = shaping != NULL ? shaping_ref(shaping) : NULL;
	route->hosts = *hosts;
	for (size_t i = 0; i < hosts->count; i++)
		route->hosts.names[i] = keep(route, hosts->names[i]);
	name_destination(route);
	name_site(route);
}
