/* LIFE 8/10: each recipient goes to a mailbox here, to a smart host, or to the MX hosts of its domain. */
#include "service/dispatcher_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "mail/address.h"
#include "service/return_path.h"
#include "store/directory_store.h"

#include <idn2.h>
#include <string.h>

#define LOOKUP_ARENA_BYTES (4u * 1024 * 1024) /* one look-up, with all that an alias leads through */
#define FOUND_ARENA_BYTES (64u * 1024 * 1024) /* what came of all of a message's */

/* Deliveries made for one message: one for each way, more where a transaction would grow too large. */
struct routing {
	struct dispatcher *dispatcher;
	struct message *message;
	size_t count, room;
	struct delivery **deliveries;
	size_t slot_count; /* a power of two, at least twice `count` */
	struct delivery **slots; /* by way: the one that still takes recipients */
};

static bool same_way(const struct delivery_way *a, const struct delivery_way *b)
{
	return view_eq_nocase(a->domain, b->domain) && view_eq_nocase(a->smarthost, b->smarthost) &&
		view_eq_nocase(a->stream, b->stream) && a->priority == b->priority && a->flags == b->flags &&
		a->deliver_by_ms == b->deliver_by_ms && view_eq_nocase(a->return_domain, b->return_domain);
}

static struct delivery **slot(struct routing *routing, const struct delivery_way *way)
{
	uint64_t hash = view_hash_nocase(way->domain) ^ view_hash_nocase(way->stream);
	size_t at = hash & (routing->slot_count - 1);
	while (routing->slots[at] != NULL && !same_way(&routing->slots[at]->way, way))
		at = (at + 1) & (routing->slot_count - 1);
	return &routing->slots[at];
}

static void grow(struct routing *routing)
{
	routing->room = routing->room * 2 + 4;
	routing->deliveries = mem_resize(routing->deliveries, routing->room * sizeof *routing->deliveries);
	mem_free(routing->slots);
	routing->slot_count = routing->slot_count == 0 ? 16 : routing->slot_count * 4;
	routing->slots = mem_alloc_array(routing->slot_count, sizeof(struct delivery *));
	/* Of several that go one way the last has room. */
	for (size_t i = 0; i < routing->count; i++)
		if (routing->deliveries[i]->way.kind == DELIVERY_REMOTE)
			*slot(routing, &routing->deliveries[i]->way) = routing->deliveries[i];
}

static struct delivery *add_delivery(struct routing *routing, const struct delivery_way *way)
{
	if (routing->count == routing->room)
		grow(routing);
	struct delivery *delivery = delivery_new(routing->dispatcher, routing->message, way);
	routing->deliveries[routing->count++] = delivery;
	return delivery;
}

static void add_remote(
	struct routing *routing, const struct delivery_way *way, struct queue_recipient *recipient, struct view address)
{
	struct delivery *delivery = routing->slot_count > 0 ? *slot(routing, way) : NULL;
	const struct config *config = routing->dispatcher->config;
	if (delivery == NULL || delivery->count >= config->delivery.recipients_per_transaction ||
		return_path_is_single(config, recipient)) {
		delivery = add_delivery(routing, way);
		*slot(routing, way) = delivery;
	}
	delivery_add(delivery, recipient, address, VIEW_NONE);
}

/* For an outcome without a try. */
static const struct delivery_way no_way = { .kind = DELIVERY_MAILBOX };
/* What the server of a transaction must know or do about all of its recipients. */
#define WAY_FLAGS (QUEUE_REQUIRETLS | QUEUE_TLS_OPTIONAL | QUEUE_BY_RETURN | QUEUE_BY_TRACE)

/* "user@Bücher.example" has its domain's hosts under its A-labels. False: no such name is possible. */
static bool domain_to_ascii(struct view domain, struct buf *out)
{
	if (view_is_ascii(domain))
		return buf_append(out, domain) == ERR_OK;
	char *utf8 = view_to_cstr(domain);
	char *a_labels = NULL;
	bool ok = idn2_to_ascii_8z(utf8, &a_labels, IDN2_NONTRANSITIONAL) == IDN2_OK &&
		buf_append_cstr(out, a_labels) == ERR_OK;
	idn2_free(a_labels);
	mem_free(utf8);
	return ok;
}

/* Of the recipient itself, of its stream, or of its domain. */
static struct view smarthost_for(struct routing *routing, const struct queue_recipient *recipient, struct view domain)
{
	const struct config *config = routing->dispatcher->config;
	const struct config_stream *stream = config_stream_named(config, recipient->stream);
	if (recipient->smarthost.len > 0)
		return recipient->smarthost;
	if (stream != NULL && stream->smarthost != NULL)
		return message_keep(routing->message, view_from_cstr(stream->smarthost));
	const struct config_smarthost *found = domain.len == 0
		? NULL
		: config_find_smarthost_for(config, domain, routing->message->envelope.reverse_path);
	return found != NULL ? message_keep(routing->message, view_from_cstr(found->name)) : VIEW_NONE;
}

/* Whether an operator lets mail of this stream, or to this domain, wait. */
static bool is_suspended(struct routing *routing, struct queue_recipient *recipient, struct view ascii_domain)
{
	struct dispatcher *d = routing->dispatcher;
	struct suspension stream = { .kind = SUSPENSION_STREAM, .name = recipient->stream };
	struct suspension domain = { .kind = SUSPENSION_DOMAIN, .name = ascii_domain };
	const struct suspension *found = dispatcher_find_suspension(d, &stream);
	if (found == NULL)
		found = dispatcher_find_suspension(d, &domain);
	if (found == NULL)
		return false;
	struct delivery *delivery = delivery_new(d, routing->message, &no_way);
	delivery_add(delivery, recipient, recipient->address, VIEW_NONE);
	delivery_suspend(delivery, found);
	return true;
}

/* Whether it stays here until its release (RFC 4865). A report is not asked to be held by others (§5.1.1), and what is led on by an alias is not either:
 * the directory may say something else by then. */
static bool is_kept_back(
	struct routing *routing, const struct queue_recipient *recipient, bool is_local, int64_t now_ms)
{
	struct buf ascii = { 0 };
	if (!queue_recipient_waits(recipient, now_ms))
		return false;
	if (is_local || routing->message->envelope.reverse_path.len == 0)
		return true;
	struct view domain = view_from(recipient->address, view_find_last(recipient->address, '@') + 1);
	bool is_name = domain_to_ascii(domain, &ascii);
	struct view name = smarthost_for(routing, recipient, is_name ? buf_view(&ascii) : VIEW_NONE);
	const struct config_smarthost *smarthost = config_smarthost_named(routing->dispatcher->config, name);
	buf_clear(&ascii);
	return smarthost == NULL || !smarthost->hand_on_holds;
}

static void route_remote(struct routing *routing, struct queue_recipient *recipient, struct view address)
{
	struct view domain = view_from(address, view_find_last(address, '@') + 1);
	struct buf ascii = { 0 };
	bool is_name = domain_to_ascii(domain, &ascii);
	if (is_suspended(routing, recipient, is_name ? buf_view(&ascii) : domain)) {
		buf_clear(&ascii);
		return;
	}
	struct delivery_way way = {
		.kind = DELIVERY_REMOTE,
		.smarthost = smarthost_for(routing, recipient, is_name ? buf_view(&ascii) : VIEW_NONE),
		.stream = recipient->stream,
		.priority = recipient->priority,
		.flags = (recipient->flags & WAY_FLAGS) |
			(queue_recipient_waits(recipient, clock_wall_ms()) ? QUEUE_FUTURE : 0u),
		.deliver_by_ms = recipient->deliver_by_ms,
		.return_domain = return_path_domain(routing->dispatcher, routing->message, recipient, address),
	};
	if (way.smarthost.len == 0)
		way.domain = !is_name || view_eq(buf_view(&ascii), domain)
			? domain
			: message_keep(routing->message, buf_view(&ascii));
	add_remote(routing, &way, recipient, address);
	buf_clear(&ascii);
}

/* A mailbox has a delivery of its own: one slow disk operation, one outcome. */
static void route_mailbox(
	struct routing *routing, struct queue_recipient *recipient, struct view address, struct view mailbox)
{
	struct delivery_way way = { .kind = DELIVERY_MAILBOX, .priority = recipient->priority };
	delivery_add(add_delivery(routing, &way), recipient, address, mailbox);
}

/* An outcome without a try: the address leads nowhere, or its destination is known to be dead. */
static void route_outcome(
	struct routing *routing, struct queue_recipient *recipient, enum outcome_kind outcome, struct view reply)
{
	struct delivery *delivery = delivery_new(routing->dispatcher, routing->message, &no_way);
	delivery_add(delivery, recipient, recipient->address, VIEW_NONE);
	delivery_set_outcome(delivery, 0, outcome, reply, VIEW_NONE);
	dispatcher_settle(delivery);
}

static void route_late(struct routing *routing, struct queue_recipient *recipient)
{
	struct delivery *delivery = delivery_new(routing->dispatcher, routing->message, &no_way);
	delivery_add(delivery, recipient, recipient->address, VIEW_NONE);
	delivery_fail_for_time(delivery);
	dispatcher_settle(delivery);
}

/* An alias with several targets took the mailbox's place: they get rows of their own, which come back from disk. Those that
 * get the message already are left out. */
static void route_targets(
	struct routing *routing, struct queue_recipient *recipient, const struct directory_lookup *found)
{
	struct delivery *delivery = delivery_new(routing->dispatcher, routing->message, &no_way);
	delivery_add(delivery, recipient, recipient->address, VIEW_NONE);
	struct delivery_recipient *r = &delivery->recipients[0];
	r->targets = arena_alloc(&delivery->arena, found->target_count * sizeof *r->targets);
	ASSERT(r->targets != NULL);
	int64_t now_ms = clock_wall_ms();
	for (size_t i = 0; i < found->target_count; i++) {
		if (message_has_recipient(routing->message, found->targets[i].address))
			continue;
		r->targets[r->target_count++] = (struct queue_recipient){
			.address = delivery_keep(delivery, found->targets[i].address),
			.orcpt = delivery_keep(delivery, recipient->orcpt),
			.original = delivery_keep(
				delivery, recipient->original.len > 0 ? recipient->original : recipient->address),
			.notify = recipient->notify,
			.due_at_ms = now_ms,
		};
	}
	delivery_set_outcome(delivery, 0, OUTCOME_REPLACED, VIEW("250 2.1.5 The address is an alias now"), VIEW_NONE);
	dispatcher_settle(delivery);
}

/* Queues what was built, once the message is split completely: nothing of it may end before. */
static void place_deliveries(struct routing *routing)
{
	for (size_t i = 0; i < routing->count; i++)
		dispatcher_place(routing->deliveries[i]);
	mem_free(routing->deliveries);
	mem_free(routing->slots);
	dispatcher_pump_soon(routing->dispatcher);
}

/* Asks the directory about all of a message's recipients in our domains, in one job. */
struct local_routing {
	struct store_job job; /* first */
	struct dispatcher *dispatcher;
	struct message *message;
	struct config *config;
	size_t recipient_count; /* all that are routed, the local ones among them */
	struct queue_recipient **recipients;
	struct arena arena;
	struct directory_options options;
	size_t count;
	struct local_question {
		struct queue_recipient *recipient;
		struct directory_lookup found;
		enum err err;
	} questions[];
};

static enum err keep_found(struct local_routing *l, const struct directory_lookup *found, struct directory_lookup *ret)
{
	*ret = (struct directory_lookup){ .result = found->result };
	if (found->target_count == 0)
		return ERR_OK;
	ret->targets = arena_alloc(&l->arena, found->target_count * sizeof *ret->targets);
	if (ret->targets == NULL)
		return ERR_LIMIT;
	ret->target_count = found->target_count;
	for (size_t i = 0; i < found->target_count; i++) {
		ret->targets[i].is_mailbox = found->targets[i].is_mailbox;
		if (arena_dup(&l->arena, found->targets[i].address, &ret->targets[i].address) != ERR_OK ||
			arena_dup(&l->arena, found->targets[i].mailbox, &ret->targets[i].mailbox) != ERR_OK)
			return ERR_LIMIT;
	}
	return ERR_OK;
}

static enum err find_one(struct local_routing *l, struct local_question *question, struct db *db)
{
	struct address address;
	struct buf local = { 0 }, domain = { 0 };
	struct arena scratch;
	struct directory_lookup found = { 0 };
	arena_init(&scratch, LOOKUP_ARENA_BYTES);
	enum err err = address_parse(question->recipient->address, ADDRESS_ALLOW_UTF8, &address);
	if (err == ERR_OK)
		err = address_local_value(&address, &local);
	if (err == ERR_OK && domain_to_ascii(address.domain, &domain))
		err = directory_find(db, &l->options, buf_view(&local), buf_view(&domain), &scratch, &found);
	if (err == ERR_OK)
		err = keep_found(l, &found, &question->found);
	arena_clear(&scratch);
	buf_clear(&local);
	buf_clear(&domain);
	return err;
}

static enum err find_all(struct store_job *job, struct db *db)
{
	struct local_routing *l = (struct local_routing *)(void *)job;
	arena_clear(&l->arena);
	for (size_t i = 0; i < l->count; i++) {
		l->questions[i].found = (struct directory_lookup){ 0 };
		l->questions[i].err = find_one(l, &l->questions[i], db);
		enum err err = l->questions[i].err;
		if (err != ERR_OK && err != ERR_SYNTAX && err != ERR_LIMIT)
			return err; /* the database, not the address */
	}
	return ERR_OK;
}

/* The directory may have changed since the message was accepted: then the recipient follows it. */
static void apply_found(struct routing *routing, struct local_question *question)
{
	struct queue_recipient *r = question->recipient;
	struct directory_lookup *found = &question->found;
	if (question->err == ERR_LIMIT) {
		/* An operator's to mend, and no fault of the address. */
		route_outcome(routing, r, OUTCOME_DEFERRED,
			VIEW("451 4.3.5 The alias leads to too many addresses, or through too many others"));
		return;
	}
	if (question->err != ERR_OK || found->result != DIRECTORY_FOUND) {
		route_outcome(routing, r, OUTCOME_FAILED, VIEW("550 5.1.1 No such mailbox here"));
		return;
	}
	if (found->target_count > 1) {
		route_targets(routing, r, found);
		return;
	}
	struct directory_target *target = &found->targets[0];
	struct view address = view_eq(target->address, r->address) ? r->address
								   : message_keep(routing->message, target->address);
	if (target->is_mailbox)
		route_mailbox(routing, r, address, message_keep(routing->message, target->mailbox));
	else
		route_remote(routing, r, address);
}

static bool is_local(struct dispatcher *d, const struct queue_recipient *recipient)
{
	struct view domain = view_from(recipient->address, view_find_last(recipient->address, '@') + 1);
	return domains_contain(d->server->domains, domain);
}

static void route_all(struct dispatcher *d, struct message *message, size_t count,
	struct queue_recipient *const *recipients, struct local_routing *local)
{
	struct routing routing = { .dispatcher = d, .message = message };
	struct delivery *returned = NULL; /* all in one: their sender gets one report */
	struct delivery *kept = NULL;
	size_t asked = 0;
	int64_t now_ms = clock_wall_ms();
	message->users++; /* while it is split */
	for (size_t i = 0; i < count; i++) {
		struct queue_recipient *r = recipients[i];
		bool is_asked = local != NULL && asked < local->count && local->questions[asked].recipient == r;
		if ((r->flags & QUEUE_RETURN) != 0) {
			if (returned == NULL)
				returned = delivery_new(d, message, &no_way);
			delivery_add(returned, r, r->address, VIEW_NONE);
			delivery_set_outcome(returned, returned->count - 1, OUTCOME_FAILED, r->last_reply, VIEW_NONE);
		} else if (delivery_time_is_up(r, now_ms)) {
			route_late(&routing, r);
			asked += is_asked;
		} else if (is_kept_back(&routing, r, is_asked, now_ms)) {
			if (kept == NULL)
				kept = delivery_new(d, message, &no_way);
			delivery_add(kept, r, r->address, VIEW_NONE);
			asked += is_asked;
		} else if (is_asked) {
			if (local->job.err == ERR_OK)
				apply_found(&routing, &local->questions[asked]);
			else
				route_outcome(
					&routing, r, OUTCOME_DEFERRED, VIEW("451 4.3.0 The directory can't be read"));
			asked++;
		} else {
			route_remote(&routing, r, r->address);
		}
	}
	if (returned != NULL)
		dispatcher_settle(returned);
	if (kept != NULL) {
		delivery_keep_back(kept, VIEW_NONE);
		dispatcher_settle(kept);
	}
	place_deliveries(&routing);
	message->users--;
	dispatcher_message_done(d, message, 0);
}

static void all_found(struct store_job *job)
{
	struct local_routing *l = (struct local_routing *)(void *)job;
	struct dispatcher *d = l->dispatcher;
	struct message *message = l->message;
	message->users--;
	if (!d->stopping)
		route_all(d, message, l->recipient_count, l->recipients, l);
	else
		dispatcher_message_done(d, message, l->recipient_count);
	arena_clear(&l->arena);
	config_unref(l->config);
	mem_free(l->recipients);
	mem_free(l);
	dispatcher_job_ended(d);
}

static void ask_directory(struct dispatcher *dispatcher, struct message *message, size_t recipient_count,
	struct queue_recipient *const *recipients, size_t count, struct queue_recipient *const *local)
{
	struct local_routing *l = mem_alloc(sizeof *l + count * sizeof l->questions[0]);
	l->dispatcher = dispatcher;
	l->message = message;
	l->config = config_ref(dispatcher->config);
	l->options.delimiter = view_from_cstr(l->config->recipient_delimiter);
	l->options.postmaster = view_from_cstr(l->config->postmaster);
	arena_init(&l->arena, FOUND_ARENA_BYTES);
	l->recipient_count = recipient_count;
	l->recipients = mem_alloc_array(recipient_count, sizeof(struct queue_recipient *));
	memcpy(l->recipients, recipients, recipient_count * sizeof(struct queue_recipient *));
	l->count = count;
	for (size_t i = 0; i < count; i++)
		l->questions[i].recipient = local[i];
	l->job.run = find_all;
	l->job.done = all_found;
	message->users++;
	dispatcher_job_started(dispatcher);
	store_read(dispatcher->server->store, dispatcher->loop, &l->job);
}

void dispatcher_route(
	struct dispatcher *dispatcher, struct message *message, size_t count, struct queue_recipient *const *recipients)
{
	/* Asked once for each: the list of our domains may be replaced meanwhile. */
	struct queue_recipient **local = mem_alloc_array(count, sizeof(struct queue_recipient *));
	size_t local_count = 0;
	for (size_t i = 0; i < count; i++)
		if ((recipients[i]->flags & QUEUE_RETURN) == 0 && is_local(dispatcher, recipients[i]))
			local[local_count++] = recipients[i];
	if (local_count > 0)
		ask_directory(dispatcher, message, count, recipients, local_count, local);
	else
		route_all(dispatcher, message, count, recipients, NULL);
	mem_free(local);
}
