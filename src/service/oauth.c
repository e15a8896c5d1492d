#include "service/oauth_private.h"

#include "base/mem.h"
#include "crypto/hash.h"
#include "service/oauth_answer.h"

#include <string.h>

#define ANSWER_MAX_BYTES (64u * 1024)
#define REQUEST_TIMEOUT_MS 30000u
/* A token is renewed so long before its end, or a fifth of its life if that is shorter: a login takes its time. */
#define MARGIN_MS 60000
/* After a failure everybody gets the same answer for so long, instead of asking again. */
#define FAILURE_MS 5000

/* One smart host's. */
struct entry {
	struct list link;
	struct oauth *oauth;
	char *name;
	uint8_t settings[HASH_BYTES]; /* of what is configured: another token for other settings */
	struct buf access_token;
	int64_t expires_ms;
	struct buf refresh_token; /* took the place of the configured one; empty: that one is good */
	bool failed;
	int64_t failed_until_ms;
	char reason[400];
	struct list waiting;
	struct loop_timer timer; /* answers those who needn't wait: never from inside the call that asked */
	struct https_request *request;
	struct config *config; /* of the request */
	const struct config_smarthost *smarthost;
};

struct oauth_wait {
	struct list link;
	oauth_answered *answered;
	void *owner;
};

struct oauth {
	struct server *server;
	struct loop *loop;
	struct https *https;
	struct list entries;
};

struct oauth *oauth_new(struct server *server, struct loop *loop, struct https *https)
{
	struct oauth *oauth = mem_alloc(sizeof *oauth);
	oauth->server = server;
	oauth->loop = loop;
	oauth->https = https;
	list_init(&oauth->entries);
	return oauth;
}

static void wipe(struct buf *buf)
{
	if (buf->ptr != NULL)
		explicit_bzero(buf->ptr, buf->cap);
	buf_clear(buf);
}

static void keep(struct buf *into, struct view token)
{
	wipe(into);
	enum err err = buf_append(into, token);
	ASSERT(err == ERR_OK); /* its length is bounded */
}

void oauth_free(struct oauth *oauth)
{
	if (oauth == NULL)
		return;
	while (!list_is_empty(&oauth->entries)) {
		struct entry *entry = LIST_ENTRY(oauth->entries.next, struct entry, link);
		list_remove(&entry->link);
		while (!list_is_empty(&entry->waiting))
			oauth_cancel(LIST_ENTRY(entry->waiting.next, struct oauth_wait, link));
		https_cancel(entry->request);
		loop_timer_clear(&entry->timer);
		config_unref(entry->config);
		wipe(&entry->access_token);
		wipe(&entry->refresh_token);
		mem_free(entry->name);
		mem_free(entry);
	}
	mem_free(oauth);
}

void oauth_cancel(struct oauth_wait *wait)
{
	if (wait == NULL)
		return;
	list_remove(&wait->link);
	mem_free(wait);
}

static void answer_all(struct entry *entry)
{
	/* Who asks again from within his answer waits for the next round. */
	struct list now;
	struct list *link;
	list_init(&now);
	while ((link = list_take_first(&entry->waiting)) != NULL)
		list_append(&now, link);
	while ((link = list_take_first(&now)) != NULL) {
		struct oauth_wait *wait = LIST_ENTRY(link, struct oauth_wait, link);
		wait->answered(wait->owner, buf_view(&entry->access_token),
			entry->reason[0] != '\0'
				? entry->reason
				: "451 4.7.8 The access token was refused, a new one will be asked for");
		mem_free(wait);
	}
}

static void on_timer(void *owner)
{
	answer_all(owner);
}

/* ---- entries ---- */

static void hash_text(struct hash *hash, const char *text)
{
	struct view v = view_from_cstr(text != NULL ? text : "");
	uint64_t len = v.len;
	hash_feed(hash, view_of(&len, sizeof len));
	hash_feed(hash, v);
}

static void hash_settings(const struct config_smarthost *s, uint8_t ret[HASH_BYTES])
{
	struct hash *hash = hash_new();
	hash_text(hash, s->oauth_token_url);
	hash_text(hash, s->oauth_client_id);
	hash_text(hash, s->oauth_client_secret);
	hash_text(hash, s->oauth_refresh_token);
	hash_text(hash, s->oauth_scope);
	hash_finish(hash, ret);
	hash_free(hash);
}

static struct entry *find(const struct oauth *oauth, const char *name)
{
	for (struct list *l = oauth->entries.next; l != &oauth->entries; l = l->next) {
		struct entry *entry = LIST_ENTRY(l, struct entry, link);
		if (view_eq_nocase(view_from_cstr(entry->name), view_from_cstr(name)))
			return entry;
	}
	return NULL;
}

/* What was got with other settings is worth nothing. */
static void use_settings(struct entry *entry, const struct config_smarthost *smarthost)
{
	uint8_t settings[HASH_BYTES];
	hash_settings(smarthost, settings);
	if (memcmp(settings, entry->settings, sizeof settings) == 0)
		return;
	/* The file may hold by now what the endpoint gave us: then nothing has changed. */
	struct view configured = view_from_cstr(
		smarthost->oauth_refresh_token != NULL ? smarthost->oauth_refresh_token : "");
	bool same_token = entry->refresh_token.len > 0 && view_eq(buf_view(&entry->refresh_token), configured);
	memcpy(entry->settings, settings, sizeof settings);
	wipe(&entry->refresh_token);
	if (same_token)
		return;
	wipe(&entry->access_token);
	entry->failed = false;
	https_cancel(entry->request);
	entry->request = NULL;
}

static struct entry *entry_for(struct oauth *oauth, const struct config_smarthost *smarthost)
{
	struct entry *entry = find(oauth, smarthost->name);
	if (entry == NULL) {
		entry = mem_alloc(sizeof *entry);
		entry->oauth = oauth;
		entry->name = view_to_cstr(view_from_cstr(smarthost->name));
		list_init(&entry->waiting);
		loop_timer_init(&entry->timer, oauth->loop, on_timer, entry);
		list_append(&oauth->entries, &entry->link);
	}
	use_settings(entry, smarthost);
	return entry;
}

/* ---- the request ---- */

static void end_request(struct entry *entry)
{
	entry->request = NULL;
	config_unref(entry->config);
	entry->config = NULL;
	entry->smarthost = NULL;
}

static void fail(struct entry *entry, const char *detail)
{
	const char *hint = strstr(detail, "invalid_grant") != NULL
		? "; log in there anew and put the new refresh token into oauth_refresh_token_file"
		: strstr(detail, "_client") != NULL ? "; look at oauth_client_id and oauth_client_secret_file"
						    : "; look at oauth_token_url";
	int n = snprintf(entry->reason, sizeof entry->reason,
		"451 4.7.8 No access token can be had for smart host %.64s: %.220s%s", entry->name, detail, hint);
	ASSERT(n > 0);
	wipe(&entry->access_token);
	entry->failed = true;
	entry->failed_until_ms = loop_now_ms(entry->oauth->loop) + FAILURE_MS;
	LOG(LOG_LEVEL_WARNING, "oauth-failed", LOG_CSTR("smarthost", entry->name), LOG_CSTR("reason", detail));
}

static void take(struct entry *entry, const struct oauth_answer *answer)
{
	int64_t life_ms = (int64_t)answer->expires_in_s * 1000;
	int64_t margin_ms = life_ms / 5 < MARGIN_MS ? life_ms / 5 : MARGIN_MS;
	keep(&entry->access_token, buf_view(&answer->access_token));
	entry->expires_ms = loop_now_ms(entry->oauth->loop) + life_ms - margin_ms;
	entry->failed = false;
	entry->reason[0] = '\0';
	LOG(LOG_LEVEL_INFO, "oauth-token", LOG_CSTR("smarthost", entry->name),
		LOG_NUM("expires_in_s", answer->expires_in_s));
	struct view renewed = buf_view(&answer->refresh_token);
	const char *configured = entry->smarthost->oauth_refresh_token;
	struct view present = entry->refresh_token.len > 0 ? buf_view(&entry->refresh_token)
		: configured != NULL                       ? view_from_cstr(configured)
							   : VIEW_NONE;
	/* A client credentials grant has none to replace (RFC 6749 §4.4.3). */
	if (renewed.len == 0 || present.len == 0 || view_eq(renewed, present))
		return;
	keep(&entry->refresh_token, renewed);
	oauth_keep(entry->oauth->server, entry->oauth->loop, entry->name, entry->smarthost->oauth_refresh_token_file,
		renewed);
}

static void answered(void *owner, const struct https_answer *http)
{
	struct entry *entry = owner;
	struct oauth_answer answer = { 0 };
	if (http->err != ERR_OK)
		fail(entry, http->detail);
	else if (oauth_answer_parse(http->status, http->body, &answer) != ERR_OK)
		fail(entry, answer.error);
	else
		take(entry, &answer);
	oauth_answer_clear(&answer);
	end_request(entry);
	answer_all(entry);
}

/* RFC 6749 §2.3.1 lets the client's secret stand in the body, and there all large providers take it. */
static enum err format_request(const struct entry *entry, const struct config_smarthost *s, struct buf *out)
{
	const char *configured = s->oauth_refresh_token;
	struct view refresh = entry->refresh_token.len > 0 ? buf_view(&entry->refresh_token)
		: configured != NULL                       ? view_from_cstr(configured)
							   : VIEW_NONE;
	const struct oauth_parameter parameters[] = {
		{ "grant_type", refresh.len > 0 ? VIEW("refresh_token") : VIEW("client_credentials") },
		{ "refresh_token", refresh },
		{ "client_id", view_from_cstr(s->oauth_client_id != NULL ? s->oauth_client_id : "") },
		{ "client_secret", view_from_cstr(s->oauth_client_secret != NULL ? s->oauth_client_secret : "") },
		{ "scope", view_from_cstr(s->oauth_scope != NULL ? s->oauth_scope : "") },
	};
	return oauth_form(sizeof parameters / sizeof parameters[0], parameters, out);
}

static void request(struct entry *entry, struct config *config, const struct config_smarthost *smarthost)
{
	struct buf body = { 0 };
	entry->config = config_ref(config);
	entry->smarthost = smarthost;
	/* All the room at once, so that no copy of a secret is left behind by growing. */
	enum err err = buf_reserve(&body, 64u * 1024);
	if (err == ERR_OK)
		err = format_request(entry, smarthost, &body);
	ASSERT(err == ERR_OK); /* what is configured is bounded */
	struct https_options options = {
		.url = smarthost->oauth_token_url,
		.body = buf_view(&body),
		.content_type = "application/x-www-form-urlencoded",
		.body_max_bytes = ANSWER_MAX_BYTES,
		.timeout_ms = REQUEST_TIMEOUT_MS,
	};
	entry->request = https_start(entry->oauth->https, &options, answered, entry);
	wipe(&body);
}

struct oauth_wait *oauth_ask(struct oauth *oauth, struct config *config, const struct config_smarthost *smarthost,
	oauth_answered *answered_to, void *owner)
{
	struct entry *entry = entry_for(oauth, smarthost);
	struct oauth_wait *wait = mem_alloc(sizeof *wait);
	int64_t now_ms = loop_now_ms(oauth->loop);
	wait->answered = answered_to;
	wait->owner = owner;
	list_append(&entry->waiting, &wait->link);
	if (entry->request != NULL)
		return wait;
	bool is_good = entry->access_token.len > 0 && now_ms < entry->expires_ms;
	if (is_good || (entry->failed && now_ms < entry->failed_until_ms)) {
		loop_timer_set(&entry->timer, now_ms);
	} else {
		wipe(&entry->access_token);
		end_request(entry);
		request(entry, config, smarthost);
	}
	return wait;
}

void oauth_refused(struct oauth *oauth, const struct config_smarthost *smarthost, struct view token)
{
	struct entry *entry = find(oauth, smarthost->name);
	if (entry != NULL && view_eq(buf_view(&entry->access_token), token))
		wipe(&entry->access_token);
}
