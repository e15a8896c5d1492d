/* When a connection fails, is refused, or lets us wait: what that means for its delivery, for the others that wait, and for the site. */
#include "service/remote_private.h"

#include <string.h>

#define BLOCK_FIRST_MS 30000
/* While connections are short, nobody may let us wait longer: less than RFC 5321 §4.5.3.2 would have us, but hundreds of servers that say nothing
 * must not stand between others and their mail. After the end of a message we wait longer, since it may have been taken. */
#define PATIENCE_MS 30000
#define PATIENCE_FINAL_MS 300000
#define END_AT_ONCE 32u

/* The others that wait for the same destination would only wait for the same failure. */
static void settle_waiting(struct remote *remote, enum outcome_kind outcome, struct view reply)
{
	struct dispatcher *d = remote->dispatcher;
	struct list *link;
	while ((link = destination_take(d->destinations, remote->destination)) != NULL) {
		struct delivery *delivery = LIST_ENTRY(link, struct delivery, link);
		delivery_set_all(delivery, outcome, reply, VIEW_NONE);
		delivery->destination = NULL;
		dispatcher_settle(delivery);
	}
}

/* A dead destination is looked at again soon, but not sooner than one of its recipients would be tried again anyway. */
static int64_t block_first_ms(const struct remote *remote)
{
	int64_t retry_ms = remote->config->queue.retry_first_ms;
	return retry_ms < BLOCK_FIRST_MS ? retry_ms : BLOCK_FIRST_MS;
}

/* Others may have a connection that works: then only this attempt failed. Those that still try don't count, or a dead host with a long queue would be
 * tried for each of its messages. */
static void block_if_dead(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	struct destination *destination = remote->destination;
	if (destination->proven > 0)
		return;
	snprintf(destination->reason, sizeof destination->reason, "%s", remote->reason);
	/* Connections that fail side by side are one failure. */
	if (destination->blocked_until_ms == 0)
		destination_failed(d->destinations, destination, loop_now_ms(d->loop), block_first_ms(remote),
			remote->config->queue.retry_max_ms);
	settle_waiting(remote, OUTCOME_DEFERRED, view_from_cstr(remote->reason));
}

static bool is_of_domain(void *owner, struct list *link)
{
	const struct remote *remote = owner;
	return LIST_ENTRY(link, struct delivery, link)->route == remote->delivery->route;
}

/* The hosts can be reached, but none of them as this domain demands: that is no trouble of the other domains with the same hosts. The route that
 * is marked is the one that was judged: where it was looked up anew meanwhile, the new one may demand something else, and is tried. */
static void refuse_domain(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	struct domain_route *route = remote->delivery->route;
	struct list of_domain, *link;
	list_init(&of_domain);
	route->refused_until_ms = loop_now_ms(d->loop) + block_first_ms(remote);
	snprintf(route->refused_reason, sizeof route->refused_reason, "%s", remote->reason);
	destination_take_all_fitting(d->destinations, remote->destination, is_of_domain, remote, &of_domain);
	while ((link = list_take_first(&of_domain)) != NULL)
		delivery_defer_until(LIST_ENTRY(link, struct delivery, link), view_from_cstr(remote->reason),
			route->refused_until_ms);
	delivery_set_all(remote->delivery, OUTCOME_DEFERRED, view_from_cstr(remote->reason),
		remote->reason_is_reply ? remote_host_text(remote) : VIEW_NONE);
	remote_settle(remote);
	remote_end(remote);
}

void remote_give_up(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	struct destination *destination = remote->destination;
	if (remote->reason[0] == '\0')
		remote_set_reason(remote, "451 4.4.1 No mail host could be reached");
	if (remote_login_fall_back(remote))
		return;
	if (remote->refusing_hosts > 0 && remote->refusing_hosts == remote->connects && remote->smarthost == NULL) {
		remote_fail(remote, remote->reason);
		return;
	}
	if (remote->refused_by_policy && remote->delivery != NULL && remote->delivery->route != NULL) {
		refuse_domain(remote);
		return;
	}
	/* Many servers take only so many connections from one client: the delivery goes to those that work, or still try. The window closes behind
	 * this one, so a dead host is not tried for each of its messages; the last connection decides for all. */
	if (remote->delivery != NULL && destination->connections > 1 && !d->stopping) {
		destination_refused_more(d->destinations, destination, loop_now_ms(d->loop));
		remote_put_first(remote);
		remote_end(remote);
		return;
	}
	if (remote->delivery != NULL) {
		delivery_set_all(remote->delivery, OUTCOME_DEFERRED, view_from_cstr(remote->reason),
			remote->reason_is_reply ? remote_host_text(remote) : VIEW_NONE);
		remote_settle(remote);
	}
	block_if_dead(remote);
	remote_end(remote);
}

void remote_fail(struct remote *remote, const char *reply)
{
	if (remote->delivery != NULL) {
		delivery_set_all(remote->delivery, OUTCOME_FAILED, view_from_cstr(reply), VIEW_NONE);
		remote_settle(remote);
	}
	settle_waiting(remote, OUTCOME_FAILED, view_from_cstr(reply));
	remote_end(remote);
}

void remote_strained(struct remote *remote)
{
	struct dispatcher *d = remote->dispatcher;
	destination_strained(d->destinations, remote->destination, loop_now_ms(d->loop));
}

/* Those of a suspended site go back to disk, where they wait with the reason. */
struct suspended {
	struct dispatcher *dispatcher;
	const struct limiter *limiter;
};

static void leave_suspended(void *owner, struct destination *destination)
{
	const struct suspended *s = owner;
	struct list *link;
	if (!destination_is_under(destination, s->limiter))
		return;
	while ((link = destination_take(s->dispatcher->destinations, destination)) != NULL) {
		delivery_defer_shaped(LIST_ENTRY(link, struct delivery, link), s->limiter);
	}
}

static struct limiter *site_limiter(struct remote *remote, const struct delivery *delivery)
{
	struct buf name = { 0 };
	enum err err = buf_append_format(
		&name, "site/%.*s@%.*s", VIEW_ARG(delivery->route->site), VIEW_ARG(delivery->way.stream));
	ASSERT(err == ERR_OK);
	struct limiter *limiter = limiter_find(remote->dispatcher->limiters, buf_view(&name));
	buf_clear(&name);
	return limiter;
}

static void log_shaped(
	const char *event, const struct delivery *delivery, const struct shaping_action *action, const char *reply)
{
	LOG(LOG_LEVEL_INFO, event, LOG_TEXT("site", delivery->route->site), LOG_TEXT("stream", delivery->way.stream),
		LOG_NUM("percent", action->percent), LOG_NUM("for_s", action->for_ms / 1000),
		LOG_TEXT("rule", action->rule), LOG_NUM("line", action->line), LOG_CSTR("reply", reply));
}

static void slow_down(struct remote *remote, const struct shaping_action *action, const char *reply)
{
	struct limiter *limiter = site_limiter(remote, remote->delivery);
	if (limiter == NULL)
		return;
	if (limiter->slow_until_ms <= loop_now_ms(remote->dispatcher->loop))
		log_shaped("site-slowed", remote->delivery, action, reply);
	limiter_slow(limiter, action->percent, loop_now_ms(remote->dispatcher->loop) + action->for_ms,
		view_from_cstr(reply));
	remote_strained(remote);
}

static void suspend(struct remote *remote, const struct shaping_action *action, const char *reply)
{
	struct dispatcher *d = remote->dispatcher;
	const struct delivery *delivery = remote->delivery;
	struct limiter *limiter = site_limiter(remote, delivery);
	if (limiter == NULL)
		return;
	if (limiter->suspended_until_ms <= loop_now_ms(d->loop))
		log_shaped("site-suspended", delivery, action, reply);
	dispatcher_shaped_suspend(
		d, limiter, delivery->route->site, delivery->way.stream, view_from_cstr(reply), action->for_ms);
	destination_each(d->destinations, leave_suspended, &(struct suspended){ d, limiter });
}

bool remote_shape(struct remote *remote, const struct smtp_reply *reply)
{
	const struct delivery *delivery = remote->delivery;
	if (delivery == NULL || delivery->route == NULL || delivery->route->shaping == NULL ||
		smtp_reply_is_positive(reply))
		return false;
	char enhanced[24] = "";
	if (reply->class > 0)
		snprintf(enhanced, sizeof enhanced, "%u.%u.%u", reply->class, reply->subject, reply->detail);
	struct shaping_action action = shaping_match(delivery->route->shaping, delivery->route->shaping_site,
		reply->code, view_from_cstr(enhanced), smtp_reply_text(reply));
	struct buf text = { 0 };
	if (smtp_reply_describe(reply, &text) != ERR_OK)
		buf_reset(&text);
	if (action.kind == SHAPING_SLOW)
		slow_down(remote, &action, buf_cstr(&text));
	else if (action.kind == SHAPING_SUSPEND)
		suspend(remote, &action, buf_cstr(&text));
	buf_clear(&text);
	return action.kind == SHAPING_NEXT_HOST;
}

bool remote_wants_next_host(struct remote *remote, const struct smtp_sender_event *event)
{
	if (event->made_here)
		return false;
	bool by_rule = remote_shape(remote, &event->reply);
	/* A reply to a single recipient, such as greylisting, says nothing of the others; nor does "enough on this connection". */
	if (event->stage == SMTP_STAGE_MAIL && event->index == 0 && remote->delivered == 0 &&
		smtp_reply_is_transient(&event->reply))
		remote_strained(remote);
	if (!by_rule || remote->delivery->count > 1 || remote->next_host >= remote->host_count)
		return false;
	remote->next_address = remote->address_count;
	return true;
}

static bool is_waited_for_too_long(const struct remote *remote, int64_t now_ms)
{
	bool sent_all = remote->delivery != NULL && remote->recipients != NULL &&
		remote->content_at >= remote->delivery->message->envelope.size_bytes;
	return remote->delivery != NULL && !remote->busy &&
		now_ms - remote->step_ms >= (sent_all ? PATIENCE_FINAL_MS : PATIENCE_MS);
}

static void end_slow(struct remote *remote)
{
	bool begun = remote->recipients != NULL;
	struct view host = remote->address != NULL ? remote_host_text(remote) : remote->host;
	remote_set_reason(remote, "451 4.4.1 %.*s let us wait for too long while others need the connection",
		VIEW_ARG(view_sub(host, 0, 150)));
	remote_close_session(remote);
	remote_hosts_stop(remote);
	if (!begun) {
		remote_transaction_clear(remote); /* its content may be on the way still */
		remote_give_up(remote);
		return;
	}
	remote_message_seen(remote); /* it may have been */
	/* Some recipients may have their outcome. */
	delivery_set_all(remote->delivery, OUTCOME_DEFERRED, view_from_cstr(remote->reason), VIEW_NONE);
	remote_settle(remote);
	block_if_dead(remote);
	remote_end(remote);
}

void remote_end_slowest(struct dispatcher *dispatcher)
{
	int64_t now_ms = loop_now_ms(dispatcher->loop);
	struct list *next;
	size_t left = END_AT_ONCE;
	for (struct list *l = dispatcher->remotes.next; l != &dispatcher->remotes && left > 0; l = next) {
		next = l->next;
		struct remote *remote = LIST_ENTRY(l, struct remote, link);
		if (!is_waited_for_too_long(remote, now_ms))
			continue;
		end_slow(remote);
		left--;
	}
}
