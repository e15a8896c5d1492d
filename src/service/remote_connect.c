/*
 * Connecting to the addresses of a host, in order. An address that lets us wait is not waited for alone: after a moment the other family is tried
 * beside it, and whichever connects first is used (RFC 8305 §5).
 */
#include "service/remote_private.h"

#include <string.h>

#define BESIDE_MS 250

static const struct net_address *source_for(const struct remote *remote, const struct net_address *to)
{
	bool is_v6 = net_address_is_v6(to);
	const struct config_delivery *c = &remote->config->delivery;
	const struct config_egress *egress = remote->egress;
	if (egress != NULL)
		return is_v6 ? &egress->source_v6 : &egress->source_v4;
	return is_v6 ? &c->source_v6 : &c->source_v4;
}

static bool is_trying(const struct remote *remote)
{
	return remote->attempts[0].stream != NULL || remote->attempts[1].stream != NULL;
}

void remote_connect_stop(struct remote *remote)
{
	for (size_t i = 0; i < REMOTE_ATTEMPTS; i++) {
		if (remote->attempts[i].stream != NULL)
			remote->connects--; /* it told us nothing */
		stream_free(remote->attempts[i].stream);
		remote->attempts[i].stream = NULL;
	}
	loop_timer_clear(&remote->beside_timer);
}

static void attempt_over(void *owner, enum err err);

static const struct stream_handler attempt_handler = { .connected = attempt_over };

/* False: there is no address of ours to reach this one from. */
static bool try(struct remote *remote, const struct net_address *to)
{
	struct remote_attempt *attempt = &remote->attempts[remote->attempts[0].stream != NULL ? 1 : 0];
	const struct net_address *source = source_for(remote, to);
	remote->address = to;
	if (remote->egress != NULL && source->len == 0) {
		remote_set_reason(remote, "451 4.4.1 Egress address %s has no IPv%c to reach %.*s from",
			remote->egress->name, net_address_is_v6(to) ? '6' : '4', VIEW_ARG(remote_host_text(remote)));
		return false;
	}
	remote->connects++;
	remote->step_ms = loop_now_ms(remote->dispatcher->loop);
	attempt->remote = remote;
	attempt->address = to;
	attempt->stream = stream_connect(remote->dispatcher->loop, to, source->len > 0 ? source : NULL,
		remote->config->delivery.connect_timeout_ms, &attempt_handler, attempt);
	return true;
}

/* The one at this place becomes the next; those that wait keep their order. */
static const struct net_address *take(struct remote *remote, size_t index)
{
	struct net_address chosen = remote->addresses[index];
	size_t at = remote->next_address++;
	memmove(&remote->addresses[at + 1], &remote->addresses[at], (index - at) * sizeof chosen);
	remote->addresses[at] = chosen;
	return &remote->addresses[at];
}

/* The first that waits and is of another family than this; address_count if there is none. */
static size_t find_other_family(const struct remote *remote, const struct net_address *than)
{
	size_t i = remote->next_address;
	while (i < remote->address_count && net_address_is_v6(&remote->addresses[i]) == net_address_is_v6(than))
		i++;
	return i;
}

static void beside(void *owner)
{
	struct remote *remote = owner;
	const struct remote_attempt *running = &remote->attempts[remote->attempts[0].stream != NULL ? 0 : 1];
	size_t index = find_other_family(remote, running->address);
	if (index < remote->address_count)
		(void)try(remote, take(remote, index));
}

/* The addresses in order, until one can be tried. */
static bool try_next(struct remote *remote)
{
	while (remote->next_address < remote->address_count) {
		bool was_trying = is_trying(remote);
		remote->no_address_is_final = false;
		remote->without_tls = false;
		if (!try(remote, take(remote, remote->next_address)))
			continue;
		if (!was_trying && find_other_family(remote, remote->address) < remote->address_count) {
			loop_timer_init(&remote->beside_timer, remote->dispatcher->loop, beside, remote);
			loop_timer_set(&remote->beside_timer, loop_now_ms(remote->dispatcher->loop) + BESIDE_MS);
		}
		return true;
	}
	return false;
}

static void attempt_over(void *owner, enum err err)
{
	struct remote_attempt *attempt = owner;
	struct remote *remote = attempt->remote;
	struct stream *stream = attempt->stream;
	attempt->stream = NULL;
	remote->address = attempt->address;
	if (err == ERR_OK) {
		remote_connect_stop(remote);
		remote->stream = stream;
		remote_connected(remote);
		return;
	}
	remote_set_reason(
		remote, "451 4.4.1 %.*s can't be reached: %s", VIEW_ARG(remote_host_text(remote)), err_detail());
	stream_free(stream);
	bool beside_it = is_trying(remote);
	if (!beside_it)
		loop_timer_clear(&remote->beside_timer);
	if (!try_next(remote) && !beside_it)
		remote_next_host(remote);
}

void remote_next_address(struct remote *remote)
{
	remote_connect_stop(remote);
	if (!try_next(remote))
		remote_next_host(remote);
}

void remote_connect(struct remote *remote)
{
	if (!try(remote, remote->address))
		remote_next_address(remote);
}
