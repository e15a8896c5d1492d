#include "cli/dkim_lookup.h"

#include "base/mem.h"
#include "service/signing_check.h"

static void checked(void *owner)
{
	loop_stop(owner);
}

enum err dkim_lookup(const struct config *config, const json_t *keys, enum dkim_publication *ret_found)
{
	size_t count = json_array_size(keys);
	struct resolver_options options = {
		.server_count = config->dns.server_count,
		.servers = config->dns.servers,
		.trust_anchor_file = config->dns.trust_anchor_file,
		.timeout_ms = config->dns.timeout_ms,
	};
	struct loop *loop = loop_new("dkim");
	struct resolver *resolver = loop != NULL ? resolver_new(loop, &options) : NULL;
	if (resolver == NULL) {
		loop_free(loop);
		return ERR_IO;
	}
	struct signing_check_key *asked = mem_alloc_array(count > 0 ? count : 1, sizeof *asked);
	for (size_t i = 0; i < count; i++) {
		const json_t *key = json_array_get(keys, i), *record = json_object_get(key, "record");
		const char *name = json_string_value(json_object_get(key, "name"));
		asked[i].name = name != NULL ? name : "";
		asked[i].record = view_of(json_string_value(record), json_string_length(record));
	}
	signing_check_start(loop, resolver, asked, count, checked, loop);
	loop_run(loop);
	for (size_t i = 0; i < count; i++)
		ret_found[i] = asked[i].found;
	mem_free(asked);
	resolver_free(resolver);
	loop_free(loop);
	return ERR_OK;
}
