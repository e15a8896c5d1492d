/* Administration of DKIM's keys. Keys are made by whoever asks: making one takes too long for a transaction. */
#include "service/admin_private.h"

#include "crypto/signature.h"
#include "mailauth/dkim_record.h"
#include "store/directory_store.h"
#include "store/dkim_store.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SELECTORS_OF_A_DAY 100u

/* "example.com" as it is stored, of the argument `domain`. */
static enum err read_domain(const struct admin_call *call, struct buf *out)
{
	struct view given = admin_text(call, "domain");
	return given.len == 0 ? ERR_OK : admin_normalise_domain(given, out);
}

static const char *algorithm_of(const struct signature_private *key)
{
	return signature_private_kind(key) == SIGNATURE_RSA ? "rsa" : "ed25519";
}

/* What anybody may know of a key. */
static enum err describe(const struct dkim_row *row, json_t *out)
{
	struct signature_private *key = NULL;
	struct buf name = { 0 }, record = { 0 };
	enum err err = signature_private_read_pem(row->private_key, &key);
	if (err == ERR_OK)
		err = dkim_record_name(row->selector, row->domain, &name);
	if (err == ERR_OK)
		err = dkim_record_format(key, 0, &record);
	if (err == ERR_OK) {
		admin_set(out, "domain", admin_json_text(row->domain));
		admin_set(out, "selector", admin_json_text(row->selector));
		admin_set(out, "algorithm", admin_json_text(row->algorithm));
		admin_set(out, "bits", json_integer(signature_private_bits(key)));
		admin_set(out, "state", json_string(dkim_state_name(row->state)));
		admin_set(out, "created_ms", json_integer(row->created_ms));
		admin_set(out, "activated_ms", json_integer(row->activated_ms));
		admin_set(out, "retired_ms", json_integer(row->retired_ms));
		admin_set(out, "name", admin_json_text(buf_view(&name)));
		admin_set(out, "record", admin_json_text(buf_view(&record)));
	}
	signature_private_free(key);
	buf_clear(&name);
	buf_clear(&record);
	return err;
}

/* What a listing is made of. */
struct listing {
	json_t *keys;
	const json_t *selectors; /* only these; NULL: all */
	enum err err;
};

static bool is_named(const json_t *selectors, struct view selector)
{
	for (size_t i = 0; i < json_array_size(selectors); i++) {
		const json_t *text = json_array_get(selectors, i);
		if (view_eq_nocase(view_of(json_string_value(text), json_string_length(text)), selector))
			return true;
	}
	return false;
}

static void append_key(void *owner, const struct dkim_row *row)
{
	struct listing *listing = owner;
	if (listing->err != ERR_OK || (listing->selectors != NULL && !is_named(listing->selectors, row->selector)))
		return;
	json_t *key = json_object();
	admin_append(listing->keys, key);
	listing->err = describe(row, key);
}

static enum err list_keys(struct admin_call *call, struct view domain, const json_t *selectors)
{
	struct listing listing = { json_array(), selectors, ERR_OK };
	admin_set(call->result, "keys", listing.keys);
	enum err err = dkim_store_list(call->db, domain, append_key, &listing);
	return err == ERR_OK ? listing.err : err;
}

static enum err key_list(struct admin_call *call)
{
	struct buf domain = { 0 };
	enum err err = read_domain(call, &domain);
	if (err == ERR_OK)
		err = list_keys(call, buf_view(&domain), NULL);
	buf_clear(&domain);
	return err;
}

/* A new key on its way into the store. */
struct adding {
	struct admin_call *call;
	struct view domain;
	struct view origin;
	json_t *selectors; /* of what was added */
};

static enum err put(struct adding *adding, struct view selector, const struct signature_private *key)
{
	const struct admin_context *context = adding->call->context;
	struct buf pem = { 0 }, name = { 0 };
	enum err err = dkim_record_name(selector, adding->domain, &name);
	if (err == ERR_OK)
		err = signature_private_write_pem(key, &pem);
	if (err == ERR_OK) {
		struct dkim_row row = { .domain = adding->domain,
			.selector = selector,
			.algorithm = view_from_cstr(algorithm_of(key)),
			.origin = adding->origin,
			.private_key = buf_view(&pem),
			.state = DKIM_STATE_NEW,
			.created_ms = context->now_ms };
		err = dkim_store_put(adding->call->db, &row);
		if (err == ERR_OK && context->dkim_unchecked)
			err = dkim_store_activate(adding->call->db, adding->domain, selector, context->now_ms);
	}
	if (err == ERR_OK)
		admin_append(adding->selectors, admin_json_text(selector));
	if (pem.len > 0)
		explicit_bzero(pem.ptr, pem.len);
	buf_clear(&pem);
	buf_clear(&name);
	return err;
}

/* A selector of the day: "s20261123r", and if there is one, "s20261123r2" … */
static enum err put_dated(struct adding *adding, const struct signature_private *key)
{
	char day[16], selector[32];
	struct tm tm;
	time_t now_s = (time_t)(adding->call->context->now_ms / 1000);
	if (gmtime_r(&now_s, &tm) == NULL || strftime(day, sizeof day, "%Y%m%d", &tm) == 0)
		return err_set(ERR_STATE, "the clock is wrong");
	char letter = signature_private_kind(key) == SIGNATURE_RSA ? 'r' : 'e';
	enum err err = ERR_EXISTS;
	for (unsigned n = 1; err == ERR_EXISTS && n <= SELECTORS_OF_A_DAY; n++) {
		snprintf(selector, sizeof selector, n == 1 ? "s%s%c" : "s%s%c%u", day, letter, n);
		err = put(adding, view_from_cstr(selector), key);
	}
	return err;
}

/* "mail", or "mail-rsa" and "mail-ed25519" if one name is to serve for several. */
static enum err put_named(
	struct adding *adding, struct view selector, bool with_algorithm, const struct signature_private *key)
{
	struct buf name = { 0 };
	enum err err = buf_append(&name, selector);
	if (err == ERR_OK && with_algorithm)
		err = buf_append_format(&name, "-%s", algorithm_of(key));
	for (size_t i = 0; i < name.len; i++)
		name.ptr[i] = ascii_lower(name.ptr[i]);
	if (err == ERR_OK)
		err = put(adding, buf_view(&name), key);
	buf_clear(&name);
	return err;
}

/* The i-th of `private_keys`; *ret is the caller's to free. */
static enum err read_private(const struct admin_call *call, size_t i, struct signature_private **ret)
{
	const json_t *text = json_array_get(json_object_get(call->arguments, "private_keys"), i);
	struct signature_private *key = NULL;
	enum err err = signature_private_read_pem(view_of(json_string_value(text), json_string_length(text)), &key);
	if (err != ERR_OK)
		return err;
	/* RFC 8301 §3.2 */
	if (signature_private_kind(key) == SIGNATURE_RSA && signature_private_bits(key) < DKIM_RSA_MIN_BITS) {
		err = err_set(ERR_LIMIT, "an RSA key of %u bits is too short: at least %u, better 2048",
			signature_private_bits(key), DKIM_RSA_MIN_BITS);
		signature_private_free(key);
		return err;
	}
	*ret = key;
	return ERR_OK;
}

static size_t private_count(const struct admin_call *call)
{
	return json_array_size(json_object_get(call->arguments, "private_keys"));
}

/* The result of what was added, and whether the domain is ours. */
static enum err tell_added(struct adding *adding)
{
	bool ours = false;
	enum err err = list_keys(adding->call, adding->domain, adding->selectors);
	if (err == ERR_OK)
		err = directory_domain_exists(adding->call->db, adding->domain, &ours);
	admin_set(adding->call->result, "ours", json_boolean(ours));
	adding->call->effects->dkim_changed = true;
	return err;
}

static enum err key_new(struct admin_call *call)
{
	struct buf domain = { 0 };
	struct view selector = admin_text(call, "selector");
	enum err err = read_domain(call, &domain);
	struct adding adding = { .call = call, .domain = buf_view(&domain), .selectors = json_array() };
	size_t count = private_count(call);
	for (size_t i = 0; err == ERR_OK && i < count; i++) {
		struct signature_private *key = NULL;
		err = read_private(call, i, &key);
		if (err == ERR_OK)
			err = selector.len > 0 ? put_named(&adding, selector, count > 1, key) : put_dated(&adding, key);
		signature_private_free(key);
	}
	if (err == ERR_OK)
		err = tell_added(&adding);
	json_decref(adding.selectors);
	buf_clear(&domain);
	return err;
}

/* The key that another is to take the place of. */
struct old_key {
	struct view selector;
	bool is_there;
	enum dkim_state state;
	char algorithm[16];
	char origin[DKIM_STORE_SELECTOR_MAX_BYTES + 1];
	bool has_successor; /* one of its row waits already */
	char successor[DKIM_STORE_SELECTOR_MAX_BYTES + 1];
};

static void copy_text(char *out, size_t room, struct view text)
{
	snprintf(out, room, "%.*s", VIEW_ARG(text));
}

static void look_for_old(void *owner, const struct dkim_row *row)
{
	struct old_key *old = owner;
	if (!view_eq_nocase(row->selector, old->selector))
		return;
	old->is_there = true;
	old->state = row->state;
	copy_text(old->algorithm, sizeof old->algorithm, row->algorithm);
	copy_text(old->origin, sizeof old->origin, row->origin);
}

static void look_for_successor(void *owner, const struct dkim_row *row)
{
	struct old_key *old = owner;
	if (row->state == DKIM_STATE_NEW && view_eq(row->origin, view_from_cstr(old->origin))) {
		old->has_successor = true;
		copy_text(old->successor, sizeof old->successor, row->selector);
	}
}

static enum err check_old(struct admin_call *call, struct view domain, struct old_key *old)
{
	enum err err = dkim_store_list(call->db, domain, look_for_old, old);
	if (err == ERR_OK && !old->is_there)
		return err_set(ERR_NOT_FOUND, "%.*s has no key with the selector %.*s", VIEW_ARG(domain),
			VIEW_ARG(old->selector));
	if (err == ERR_OK && old->state != DKIM_STATE_ACTIVE)
		return err_set(ERR_STATE, "the key %.*s of %.*s does not sign: there is nothing to take the place of",
			VIEW_ARG(old->selector), VIEW_ARG(domain));
	if (err == ERR_OK)
		err = dkim_store_list(call->db, domain, look_for_successor, old);
	if (err == ERR_OK && old->has_successor)
		return err_set(ERR_STATE,
			"the key %s waits already to take the place of %.*s: publish its record, or remove it",
			old->successor, VIEW_ARG(old->selector));
	return err;
}

static enum err rotate_one(struct adding *adding, size_t i)
{
	const json_t *text = json_array_get(json_object_get(adding->call->arguments, "selectors"), i);
	struct old_key old = { .selector = view_of(json_string_value(text), json_string_length(text)) };
	struct signature_private *key = NULL;
	enum err err = check_old(adding->call, adding->domain, &old);
	if (err == ERR_OK)
		err = read_private(adding->call, i, &key);
	if (err == ERR_OK && strcmp(algorithm_of(key), old.algorithm) != 0)
		err = err_set(ERR_STATE, "the key %.*s is %s, the one to take its place %s", VIEW_ARG(old.selector),
			old.algorithm, algorithm_of(key));
	if (err == ERR_OK) {
		adding->origin = view_from_cstr(old.origin);
		err = put_dated(adding, key);
		adding->origin = VIEW_NONE;
	}
	signature_private_free(key);
	return err;
}

static enum err key_rotate(struct admin_call *call)
{
	struct buf domain = { 0 };
	size_t count = private_count(call);
	enum err err = read_domain(call, &domain);
	if (err == ERR_OK && count != json_array_size(json_object_get(call->arguments, "selectors")))
		err = err_set(ERR_SYNTAX, "as many private keys as selectors are needed");
	struct adding adding = { .call = call, .domain = buf_view(&domain), .selectors = json_array() };
	for (size_t i = 0; err == ERR_OK && i < count; i++)
		err = rotate_one(&adding, i);
	if (err == ERR_OK)
		err = tell_added(&adding);
	json_decref(adding.selectors);
	buf_clear(&domain);
	return err;
}

/* The same for each of `selectors`. */
static enum err change_each(struct admin_call *call,
	enum err (*change)(struct db *db, struct view domain, struct view selector, int64_t now_ms))
{
	struct buf domain = { 0 };
	const json_t *selectors = json_object_get(call->arguments, "selectors");
	enum err err = read_domain(call, &domain);
	for (size_t i = 0; err == ERR_OK && i < json_array_size(selectors); i++) {
		const json_t *text = json_array_get(selectors, i);
		err = change(call->db, buf_view(&domain), view_of(json_string_value(text), json_string_length(text)),
			call->context->now_ms);
	}
	if (err == ERR_OK)
		err = list_keys(call, buf_view(&domain), selectors);
	call->effects->dkim_changed = true;
	buf_clear(&domain);
	return err;
}

static enum err key_activate(struct admin_call *call)
{
	return change_each(call, dkim_store_activate);
}

static enum err key_retire(struct admin_call *call)
{
	return change_each(call, dkim_store_retire);
}

static enum err remove_one(struct db *db, struct view domain, struct view selector, int64_t now_ms)
{
	(void)now_ms;
	return dkim_store_remove(db, domain, selector);
}

static enum err key_remove(struct admin_call *call)
{
	return change_each(call, remove_one);
}

const struct admin_command admin_dkim_commands[] = {
	{ "dkim.new", true, key_new,
		{ { "domain", ADMIN_TEXT, true }, { "private_keys", ADMIN_TEXTS, true },
			{ "selector", ADMIN_TEXT, false } } },
	{ "dkim.rotate", true, key_rotate,
		{ { "domain", ADMIN_TEXT, true }, { "private_keys", ADMIN_TEXTS, true },
			{ "selectors", ADMIN_TEXTS, true } } },
	{ "dkim.list", false, key_list, { { "domain", ADMIN_TEXT, false } } },
	{ "dkim.activate", true, key_activate, { { "domain", ADMIN_TEXT, true }, { "selectors", ADMIN_TEXTS, true } } },
	{ "dkim.retire", true, key_retire, { { "domain", ADMIN_TEXT, true }, { "selectors", ADMIN_TEXTS, true } } },
	{ "dkim.remove", true, key_remove, { { "domain", ADMIN_TEXT, true }, { "selectors", ADMIN_TEXTS, true } } },
};
const size_t admin_dkim_command_count = sizeof admin_dkim_commands / sizeof admin_dkim_commands[0];
