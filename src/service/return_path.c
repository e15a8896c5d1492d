#include "service/return_path.h"

#include "base/clock.h"
#include "policy/srs.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static struct view address_key(const struct server *server)
{
	return view_of(server->address_key, sizeof server->address_key);
}

static struct view domain_of(struct view address)
{
	return view_from(address, view_find_last(address, '@') + 1);
}

static const struct config_stream *signed_stream(const struct config *config, const struct queue_recipient *recipient)
{
	if (recipient->stream.len == 0)
		return NULL;
	const struct config_stream *stream = config_stream_named(config, recipient->stream);
	return stream != NULL && stream->bounces == CONFIG_BOUNCES_SIGNED ? stream : NULL;
}

bool return_path_is_single(const struct config *config, const struct queue_recipient *recipient)
{
	return signed_stream(config, recipient) != NULL;
}

static enum err sign(const struct delivery *delivery, struct buf *out)
{
	const struct dispatcher *d = delivery->dispatcher;
	const struct queue_message *q = &delivery->message->envelope;
	struct view local = view_sub(q->reverse_path, 0, view_find_last(q->reverse_path, '@'));
	const char *configured = d->config->bounces.domain;
	struct view domain = configured != NULL ? view_from_cstr(configured) : domain_of(q->reverse_path);
	/* A bounce must come back to us. */
	if (!domains_contain(d->server->domains, domain))
		return ERR_UNSUPPORTED;
	enum err err = bounce_address_format(
		address_key(d->server), local, q->id, delivery->recipients[0].recipient->index, out);
	if (err == ERR_OK)
		err = buf_append_byte(out, '@');
	if (err == ERR_OK)
		err = buf_append(out, domain);
	return err;
}

struct view return_path_domain(struct dispatcher *dispatcher, struct message *message,
	const struct queue_recipient *recipient, struct view address)
{
	struct domains *ours = dispatcher->server->domains;
	const struct queue_message *q = &message->envelope;
	const char *configured = dispatcher->config->forwarding.domain;
	/* An alias may have taken a mailbox's place since the message was accepted. */
	struct view original = recipient->original.len > 0 ? recipient->original : recipient->address;
	bool is_led_on = recipient->original.len > 0 || !view_eq(address, recipient->address);
	if (!dispatcher->config->forwarding.srs || !is_led_on || (recipient->flags & QUEUE_NO_SRS) != 0)
		return VIEW_NONE;
	if (q->account.len > 0 || q->reverse_path.len == 0 || domains_contain(ours, domain_of(q->reverse_path)))
		return VIEW_NONE;
	struct view domain = configured != NULL ? view_from_cstr(configured) : domain_of(original);
	/* A bounce must come back to us. */
	if (!domains_contain(ours, domain))
		return VIEW_NONE;
	return configured != NULL ? message_keep(message, domain) : domain;
}

static enum err forward(const struct delivery *delivery, struct buf *out)
{
	return srs_forward(address_key(delivery->dispatcher->server), clock_wall_ms() / DAY_MS,
		delivery->message->envelope.reverse_path, delivery->way.return_domain, out);
}

struct view return_path_for(const struct delivery *delivery, struct buf *out)
{
	const struct config *config = delivery->dispatcher->config;
	struct view own = delivery->message->envelope.reverse_path;
	enum err err = ERR_UNSUPPORTED;
	if (own.len == 0)
		return own;
	/* The address is one of a mailbox here: what a stranger is called where he writes from is none of ours. */
	bool is_own = domains_contain(delivery->dispatcher->server->domains, domain_of(own));
	if (is_own && signed_stream(config, delivery->recipients[0].recipient) != NULL)
		err = sign(delivery, out);
	else if (delivery->way.return_domain.len > 0)
		err = forward(delivery, out);
	/* What can't be rewritten goes as it is: better that than not at all. */
	if (err != ERR_OK)
		buf_reset(out);
	return err == ERR_OK ? buf_view(out) : own;
}

static enum return_path_kind read_srs(const struct server *server, struct view local, bool sender_is_null,
	struct buf *ret_address, struct smtp_reply *ret_reply)
{
	enum err err = srs_reverse(address_key(server), clock_wall_ms() / DAY_MS, local, ret_address);
	if (err == ERR_OK && sender_is_null)
		return RETURN_PATH_FORWARDED;
	/* Else anybody who has seen one could send through us to its sender. */
	if (err == ERR_OK)
		*ret_reply = smtp_reply_make(550, "5.7.1", "This address takes bounces only");
	else if (err == ERR_REFUSED)
		*ret_reply = smtp_reply_make(550, "5.1.1", "This forwarding address has expired, or is not ours");
	buf_reset(ret_address);
	return err == ERR_OK || err == ERR_REFUSED ? RETURN_PATH_REFUSED : RETURN_PATH_NONE;
}

enum return_path_kind return_path_read(struct server *server, const struct config *config, struct view local,
	bool sender_is_null, struct buf *ret_address, struct bounce_token *ret_token, struct smtp_reply *ret_reply)
{
	if (srs_is_address(local))
		return read_srs(server, local, sender_is_null, ret_address, ret_reply);
	if (!bounce_address_parse(local, ret_token))
		return RETURN_PATH_NONE;
	switch (bounce_address_check(address_key(server), ret_token, clock_wall_ms(), config->bounces.valid_ms)) {
	case ERR_OK:
		return RETURN_PATH_SIGNED;
	case ERR_TIMEOUT:
		*ret_reply = smtp_reply_make(550, "5.1.1", "This bounce address has expired");
		return RETURN_PATH_REFUSED;
	default:
		*ret_reply = smtp_reply_make(550, "5.1.1", "This bounce address is not ours");
		return RETURN_PATH_REFUSED;
	}
}
