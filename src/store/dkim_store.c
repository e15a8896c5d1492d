#include "store/dkim_store.h"

#include "mail/address.h"

/* In the order of read_row(). */
#define COLUMNS                                                                                                        \
	"SELECT domain, selector, algorithm, origin, private_key, state, created_ms, activated_ms, retired_ms FROM "   \
	"dkim_key "

struct key {
	struct view domain, selector;
	uint8_t domain_text[ADDRESS_DOMAIN_MAX_BYTES], selector_text[DKIM_STORE_SELECTOR_MAX_BYTES];
};

const char *dkim_state_name(enum dkim_state state)
{
	static const char *const names[DKIM_STATE_COUNT] = {
		[DKIM_STATE_NEW] = "new", [DKIM_STATE_ACTIVE] = "active", [DKIM_STATE_RETIRED] = "retired"
	};
	return names[state];
}

static bool lower(struct view text, uint8_t *out, size_t room, struct view *ret)
{
	if (!address_domain_is_valid(text, 0) || text.len > room)
		return false;
	for (size_t i = 0; i < text.len; i++)
		out[i] = ascii_lower(text.ptr[i]);
	*ret = view_of(out, text.len);
	return true;
}

static enum err read_key(struct view domain, struct view selector, struct key *ret)
{
	if (!lower(domain, ret->domain_text, sizeof ret->domain_text, &ret->domain))
		return err_set(ERR_SYNTAX, "the domain is malformed");
	if (!lower(selector, ret->selector_text, sizeof ret->selector_text, &ret->selector))
		return err_set(ERR_SYNTAX, "the selector is malformed: letters, digits and hyphens make one");
	return ERR_OK;
}

static enum err no_such_key(const struct key *key)
{
	return err_set(ERR_NOT_FOUND, "%.*s has no key with the selector %.*s", VIEW_ARG(key->domain),
		VIEW_ARG(key->selector));
}

static enum err count_keys(struct db *db, struct view domain, int64_t *ret)
{
	struct db_statement *s = db_prepare(db, "SELECT COUNT(*) FROM dkim_key WHERE domain = $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK)
		return err;
	*ret = db_column_int(s, 0);
	db_reset(s);
	return ERR_OK;
}

enum err dkim_store_put(struct db *db, const struct dkim_row *row)
{
	struct key key, origin = { .selector = { 0 } };
	int64_t count = 0;
	enum err err = read_key(row->domain, row->selector, &key);
	if (err == ERR_OK && row->origin.len > 0)
		err = read_key(row->domain, row->origin, &origin);
	if (err == ERR_OK)
		err = count_keys(db, key.domain, &count);
	if (err == ERR_OK && count >= (int64_t)DKIM_STORE_KEYS_MAX)
		err = err_set(ERR_LIMIT, "%.*s has %u keys already: remove some that are retired", VIEW_ARG(key.domain),
			DKIM_STORE_KEYS_MAX);
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(db,
		"INSERT INTO dkim_key (domain, selector, algorithm, origin, private_key, state, created_ms, "
		"activated_ms, retired_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, key.domain);
	db_bind_text(s, 2, key.selector);
	db_bind_text(s, 3, row->algorithm);
	db_bind_text(s, 4, row->origin.len > 0 ? origin.selector : key.selector);
	db_bind_text(s, 5, row->private_key);
	db_bind_int(s, 6, row->state);
	db_bind_int(s, 7, row->created_ms);
	db_bind_int(s, 8, row->activated_ms);
	db_bind_int(s, 9, row->retired_ms);
	uint64_t changed = 0;
	err = db_run(s, &changed);
	if (err == ERR_OK && changed == 0)
		err = err_set(ERR_EXISTS, "%.*s has a key with the selector %.*s already", VIEW_ARG(key.domain),
			VIEW_ARG(key.selector));
	return err;
}

static struct dkim_row read_row(struct db_statement *s)
{
	return (struct dkim_row){
		.domain = db_column_view(s, 0),
		.selector = db_column_view(s, 1),
		.algorithm = db_column_view(s, 2),
		.origin = db_column_view(s, 3),
		.private_key = db_column_view(s, 4),
		.state = (enum dkim_state)db_column_int(s, 5),
		.created_ms = db_column_int(s, 6),
		.activated_ms = db_column_int(s, 7),
		.retired_ms = db_column_int(s, 8),
	};
}

static enum err each_row(struct db_statement *s, void (*row)(void *owner, const struct dkim_row *row), void *owner)
{
	bool more;
	enum err err;
	while ((err = db_step(s, &more)) == ERR_OK && more) {
		struct dkim_row found = read_row(s);
		/* A state of a later version: not ours to sign with. */
		if ((unsigned)found.state < DKIM_STATE_COUNT)
			row(owner, &found);
	}
	return err;
}

enum err dkim_store_list(
	struct db *db, struct view domain, void (*row)(void *owner, const struct dkim_row *row), void *owner)
{
	uint8_t text[ADDRESS_DOMAIN_MAX_BYTES];
	if (domain.len > 0 && !lower(domain, text, sizeof text, &domain))
		return err_set(ERR_SYNTAX, "the domain is malformed");
	struct db_statement *s = db_prepare(
		db, COLUMNS "WHERE $1 = '' OR domain = $1 ORDER BY domain, created_ms, selector");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	return each_row(s, row, owner);
}

enum err dkim_store_list_state(struct db *db, struct view domain, enum dkim_state state,
	void (*row)(void *owner, const struct dkim_row *row), void *owner)
{
	uint8_t text[ADDRESS_DOMAIN_MAX_BYTES];
	if (domain.len > 0 && !lower(domain, text, sizeof text, &domain))
		return err_set(ERR_SYNTAX, "the domain is malformed");
	struct db_statement *s = db_prepare(
		db, COLUMNS "WHERE ($1 = '' OR domain = $1) AND state = $2 ORDER BY domain, created_ms, selector");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	db_bind_int(s, 2, state);
	return each_row(s, row, owner);
}

/* The state of one key; the statement that sets it follows. */
static enum err find(struct db *db, const struct key *key, enum dkim_state *ret)
{
	struct db_statement *s = db_prepare(db, "SELECT state FROM dkim_key WHERE domain = $1 AND selector = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, key->domain);
	db_bind_text(s, 2, key->selector);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK)
		return err;
	if (!row)
		return no_such_key(key);
	*ret = (enum dkim_state)db_column_int(s, 0);
	db_reset(s);
	return ERR_OK;
}

/* $3 is the time. */
static enum err change(struct db *db, const char *sql, const struct key *key, int64_t now_ms)
{
	struct db_statement *s = db_prepare(db, sql);
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, key->domain);
	db_bind_text(s, 2, key->selector);
	db_bind_int(s, 3, now_ms);
	return db_run(s, NULL);
}

enum err dkim_store_activate(struct db *db, struct view domain, struct view selector, int64_t now_ms)
{
	struct key key;
	enum dkim_state state = DKIM_STATE_NEW;
	enum err err = read_key(domain, selector, &key);
	if (err == ERR_OK)
		err = find(db, &key, &state);
	if (err != ERR_OK || state == DKIM_STATE_ACTIVE)
		return err;
	err = change(db,
		"UPDATE dkim_key SET state = 2, retired_ms = $3 WHERE domain = $1 AND state = 1 AND selector <> $2 AND "
		"origin = (SELECT k.origin FROM dkim_key k WHERE k.domain = $1 AND k.selector = $2)",
		&key, now_ms);
	if (err == ERR_OK)
		err = change(db,
			"UPDATE dkim_key SET state = 1, activated_ms = $3, retired_ms = 0 WHERE domain = $1 AND "
			"selector = $2",
			&key, now_ms);
	return err;
}

enum err dkim_store_retire(struct db *db, struct view domain, struct view selector, int64_t now_ms)
{
	struct key key;
	enum dkim_state state = DKIM_STATE_NEW;
	enum err err = read_key(domain, selector, &key);
	if (err == ERR_OK)
		err = find(db, &key, &state);
	if (err != ERR_OK || state == DKIM_STATE_RETIRED)
		return err;
	return change(
		db, "UPDATE dkim_key SET state = 2, retired_ms = $3 WHERE domain = $1 AND selector = $2", &key, now_ms);
}

enum err dkim_store_remove(struct db *db, struct view domain, struct view selector)
{
	struct key key;
	enum dkim_state state = DKIM_STATE_NEW;
	enum err err = read_key(domain, selector, &key);
	if (err == ERR_OK)
		err = find(db, &key, &state);
	if (err == ERR_OK && state == DKIM_STATE_ACTIVE)
		err = err_set(ERR_STATE, "the key %.*s of %.*s signs mail: retire it first", VIEW_ARG(key.selector),
			VIEW_ARG(key.domain));
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(db, "DELETE FROM dkim_key WHERE domain = $1 AND selector = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, key.domain);
	db_bind_text(s, 2, key.selector);
	return db_run(s, NULL);
}
