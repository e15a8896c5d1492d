/* LIFE 8/10: each recipient goes to a mailbox here, to a smart host, or to the MX hosts of its domain. */
#include "service/dispatcher_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "mail/address.h"
#include "store/directory_store.h"

#include <idn2.h>
#include <string.h>

#define LOCAL_DESTINATION VIEW("mailboxes")
#define LOCAL_JOBS 16u
#define SHORT_QUEUE_MAX 100u /* deliveries that wait for one destination */
#define LOOKUP_ARENA_BYTES (4u * 1024 * 1024) /* one look-up, with all that an alias leads through */
#define FOUND_ARENA_BYTES (64u * 1024 * 1024) /* what came of all of a message's */
/* Outcomes of as many recipients as a message may have, and once again. */
#define DELIVERY_ARENA_BYTES (64u * 1024 * 1024)

struct delivery *delivery_new(struct dispatcher *dispatcher, struct message *message, enum delivery_kind kind)
{
	struct delivery *delivery = mem_alloc(sizeof *delivery);
	list_init(&delivery->link);
	delivery->dispatcher = dispatcher;
	delivery->message = message;
	delivery->kind = kind;
	arena_init(&delivery->arena, DELIVERY_ARENA_BYTES);
	message->users++;
	return delivery;
}

void delivery_add(
	struct delivery *delivery, struct queue_recipient *recipient, struct view address, struct view mailbox)
{
	if (delivery->count == delivery->room) {
		delivery->room = delivery->room * 2 + 1;
		delivery->recipients = mem_resize(delivery->recipients, delivery->room * sizeof *delivery->recipients);
	}
	delivery->recipients[delivery->count++] = (struct delivery_recipient){
		.recipient = recipient, .address = address, .mailbox = mailbox
	};
}

void delivery_drop(struct delivery *delivery)
{
	struct message *message = delivery->message;
	for (size_t i = 0; i < delivery->count; i++)
		if (delivery->recipients[i].recipient->due_at_ms < message->passed_due_ms)
			message->passed_due_ms = delivery->recipients[i].recipient->due_at_ms;
	delivery_free(delivery);
}

void delivery_free(struct delivery *delivery)
{
	struct message *message = delivery->message;
	ASSERT(message->users > 0);
	message->users--;
	dispatcher_message_done(delivery->dispatcher, message, delivery->count);
	arena_clear(&delivery->arena);
	mem_free(delivery->recipients);
	mem_free(delivery);
}

static struct view keep(struct delivery *delivery, struct view text)
{
	struct view copy = VIEW_NONE;
	enum err err = arena_dup(&delivery->arena, text, &copy);
	ASSERT(err == ERR_OK); /* a few texts for each recipient, each of them cut */
	return copy;
}

void delivery_set_outcome(
	struct delivery *delivery, size_t index, enum outcome_kind outcome, struct view reply, struct view host)
{
	ASSERT(index < delivery->count);
	struct delivery_recipient *r = &delivery->recipients[index];
	r->outcome = outcome;
	r->reply = keep(delivery, view_sub(reply, 0, 1000));
	r->host = keep(delivery, view_sub(host, 0, 320));
}

void delivery_set_all(struct delivery *delivery, enum outcome_kind outcome, struct view reply, struct view host)
{
	for (size_t i = 0; i < delivery->count; i++)
		if (delivery->recipients[i].outcome == OUTCOME_NONE)
			delivery_set_outcome(delivery, i, outcome, reply, host);
}

/* Deliveries made for one message: one per destination, more where a transaction would grow too large. */
struct routing {
	struct dispatcher *dispatcher;
	struct message *message;
	size_t count, room;
	struct delivery **deliveries;
};

static void keep_delivery(struct routing *routing, struct delivery *delivery)
{
	if (routing->count == routing->room) {
		routing->room = routing->room * 2 + 4;
		routing->deliveries = mem_resize(routing->deliveries, routing->room * sizeof *routing->deliveries);
	}
	routing->deliveries[routing->count++] = delivery;
}

static void add_to(struct routing *routing, struct destination *destination, enum delivery_kind kind,
	struct queue_recipient *recipient, struct view address, struct view mailbox)
{
	struct delivery *delivery = destination->building;
	/* A mailbox has a delivery of its own: one slow disk operation, one outcome. */
	size_t most = kind == DELIVERY_MAILBOX ? 1 : routing->dispatcher->config->delivery.recipients_per_transaction;
	if (delivery == NULL || delivery->count >= most) {
		delivery = delivery_new(routing->dispatcher, routing->message, kind);
		delivery->destination = destination;
		destination->building = delivery;
		keep_delivery(routing, delivery);
	}
	delivery_add(delivery, recipient, address, mailbox);
}

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

static void route_remote(struct routing *routing, struct queue_recipient *recipient, struct view address)
{
	struct dispatcher *d = routing->dispatcher;
	struct view domain = view_from(address, view_find_last(address, '@') + 1);
	struct buf ascii = { 0 }, key = { 0 };
	const struct config_smarthost *smarthost = NULL;
	uint32_t limit = d->config->delivery.concurrency_per_destination;
	enum err err;
	if (domain_to_ascii(domain, &ascii))
		smarthost = config_find_smarthost(d->config, buf_view(&ascii));
	if (smarthost != NULL) {
		err = buf_append_format(&key, "smarthost/%s", smarthost->name);
		limit = smarthost->concurrency;
	} else {
		err = buf_append_format(&key, "mx/%.*s", VIEW_ARG(ascii.len > 0 ? buf_view(&ascii) : domain));
	}
	ASSERT(err == ERR_OK);
	add_to(routing, destination_get(d->destinations, buf_view(&key), limit), DELIVERY_REMOTE, recipient, address,
		VIEW_NONE);
	buf_clear(&ascii);
	buf_clear(&key);
}

static void route_mailbox(
	struct routing *routing, struct queue_recipient *recipient, struct view address, struct view mailbox)
{
	struct destination *destination = destination_get(
		routing->dispatcher->destinations, LOCAL_DESTINATION, LOCAL_JOBS);
	destination->is_local = true;
	add_to(routing, destination, DELIVERY_MAILBOX, recipient, address, mailbox);
}

/* An outcome without a try: the address leads nowhere, or its destination is known to be dead. */
static void route_outcome(
	struct routing *routing, struct queue_recipient *recipient, enum outcome_kind outcome, struct view reply)
{
	struct delivery *delivery = delivery_new(routing->dispatcher, routing->message, DELIVERY_MAILBOX);
	delivery_add(delivery, recipient, recipient->address, VIEW_NONE);
	delivery_set_outcome(delivery, 0, outcome, reply, VIEW_NONE);
	dispatcher_settle(delivery);
}

/* An alias with several targets took the mailbox's place: they get rows of their own, which come back from disk. Those that
 * get the message already are left out. */
static void route_targets(
	struct routing *routing, struct queue_recipient *recipient, const struct directory_lookup *found)
{
	struct delivery *delivery = delivery_new(routing->dispatcher, routing->message, DELIVERY_MAILBOX);
	delivery_add(delivery, recipient, recipient->address, VIEW_NONE);
	struct delivery_recipient *r = &delivery->recipients[0];
	r->targets = arena_alloc(&delivery->arena, found->target_count * sizeof *r->targets);
	ASSERT(r->targets != NULL);
	int64_t now_ms = clock_wall_ms();
	for (size_t i = 0; i < found->target_count; i++) {
		if (message_has_recipient(routing->message, found->targets[i].address))
			continue;
		r->targets[r->target_count++] = (struct queue_recipient){
			.address = keep(delivery, found->targets[i].address),
			.orcpt = keep(delivery, recipient->orcpt),
			.original = keep(
				delivery, recipient->original.len > 0 ? recipient->original : recipient->address),
			.notify = recipient->notify,
			.due_at_ms = now_ms,
		};
	}
	delivery_set_outcome(delivery, 0, OUTCOME_REPLACED, VIEW("250 2.1.5 The address is an alias now"), VIEW_NONE);
	dispatcher_settle(delivery);
}

static void defer_for_dead(struct delivery *delivery)
{
	struct destination *destination = delivery->destination;
	delivery->untried = true;
	delivery_set_all(delivery, OUTCOME_DEFERRED, view_from_cstr(destination->reason), VIEW_NONE);
	delivery->destination = NULL;
	int64_t wait_ms = destination->blocked_until_ms - loop_now_ms(delivery->dispatcher->loop);
	for (size_t i = 0; i < delivery->count; i++)
		delivery->recipients[i].due_at_ms = clock_wall_ms() + (wait_ms > 0 ? wait_ms : 0);
	dispatcher_settle(delivery);
}

static size_t short_queue(const struct dispatcher *d)
{
	size_t part = d->config->queue.active_recipients / 8;
	return part < SHORT_QUEUE_MAX ? part : SHORT_QUEUE_MAX;
}

/* Queues what was built, once the message is split completely: nothing of it may end before. */
static void queue_deliveries(struct routing *routing)
{
	struct dispatcher *d = routing->dispatcher;
	for (size_t i = 0; i < routing->count; i++)
		routing->deliveries[i]->destination->building = NULL;
	for (size_t i = 0; i < routing->count; i++) {
		struct delivery *delivery = routing->deliveries[i];
		if (delivery->destination->blocked_until_ms > loop_now_ms(d->loop))
			defer_for_dead(delivery);
		else if (routing->message->only_where_short && delivery->destination->waiting_count >= short_queue(d))
			delivery_drop(delivery);
		else
			destination_add(d->destinations, delivery->destination, &delivery->link);
	}
	mem_free(routing->deliveries);
	dispatcher_pump_soon(d);
}

/* Asks the directory about all of a message's recipients in our domains, in one job. */
struct local_routing {
	struct store_job job; /* first */
	struct dispatcher *dispatcher;
	struct message *message;
	struct config *config;
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

static void route_all(struct dispatcher *d, struct message *message, struct local_routing *local)
{
	struct routing routing = { .dispatcher = d, .message = message };
	size_t asked = 0;
	message->users++; /* while it is split */
	for (size_t i = 0; i < message->envelope.recipient_count; i++) {
		struct queue_recipient *r = &message->envelope.recipients[i];
		if (local != NULL && asked < local->count && local->questions[asked].recipient == r) {
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
	queue_deliveries(&routing);
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
		route_all(d, message, l);
	else
		dispatcher_message_done(d, message, message->pending);
	arena_clear(&l->arena);
	config_unref(l->config);
	mem_free(l);
	dispatcher_job_ended(d);
}

static void ask_directory(
	struct dispatcher *dispatcher, struct message *message, size_t count, struct queue_recipient *const *recipients)
{
	struct local_routing *l = mem_alloc(sizeof *l + count * sizeof l->questions[0]);
	l->dispatcher = dispatcher;
	l->message = message;
	l->config = config_ref(dispatcher->config);
	l->options.delimiter = view_from_cstr(l->config->recipient_delimiter);
	l->options.postmaster = view_from_cstr(l->config->postmaster);
	arena_init(&l->arena, FOUND_ARENA_BYTES);
	l->count = count;
	for (size_t i = 0; i < count; i++)
		l->questions[i].recipient = recipients[i];
	l->job.run = find_all;
	l->job.done = all_found;
	message->users++;
	dispatcher_job_started(dispatcher);
	store_read(dispatcher->server->store, dispatcher->loop, &l->job);
}

void dispatcher_route(struct dispatcher *dispatcher, struct message *message)
{
	/* Asked once for each: the list of our domains may be replaced meanwhile. */
	const struct queue_message *q = &message->envelope;
	struct queue_recipient **local = mem_alloc_array(q->recipient_count, sizeof(struct queue_recipient *));
	size_t count = 0;
	for (size_t i = 0; i < q->recipient_count; i++)
		if (is_local(dispatcher, &q->recipients[i]))
			local[count++] = &q->recipients[i];
	if (count > 0)
		ask_directory(dispatcher, message, count, local);
	else
		route_all(dispatcher, message, NULL);
	mem_free(local);
}
