#include "store/directory_private.h"

#include <string.h>

static enum err lower_domain(struct view domain, uint8_t out[ADDRESS_DOMAIN_MAX_BYTES], struct view *ret)
{
	if (!address_domain_is_valid(domain, 0))
		return err_set(ERR_SYNTAX, "the domain is malformed");
	for (size_t i = 0; i < domain.len; i++)
		out[i] = ascii_lower(domain.ptr[i]);
	*ret = view_of(out, domain.len);
	return ERR_OK;
}

/* Whether there is a row; $1 and $2 are bound as far as the statement has them. */
static enum err exists(struct db *db, const char *sql, struct view first, const struct view *second, bool *ret)
{
	struct db_statement *s = db_prepare(db, sql);
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, first);
	if (second != NULL)
		db_bind_text(s, 2, *second);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK)
		return err;
	db_reset(s);
	*ret = row;
	return ERR_OK;
}

static enum err not_our_domain(struct view domain)
{
	return err_set(ERR_NOT_FOUND, "%.*s is not one of our domains", VIEW_ARG(domain));
}

enum err directory_domain_add(struct db *db, struct view domain)
{
	uint8_t lower[ADDRESS_DOMAIN_MAX_BYTES];
	enum err err = lower_domain(domain, lower, &domain);
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(db, "INSERT INTO domain (name) VALUES ($1) ON CONFLICT DO NOTHING");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	uint64_t changed = 0;
	err = db_run(s, &changed);
	if (err == ERR_OK && changed == 0)
		err = err_set(ERR_EXISTS, "%.*s is one of our domains already", VIEW_ARG(domain));
	return err;
}

enum err directory_domain_remove(struct db *db, struct view domain)
{
	uint8_t lower[ADDRESS_DOMAIN_MAX_BYTES];
	bool accounts = false, aliases = false;
	enum err err = lower_domain(domain, lower, &domain);
	if (err == ERR_OK)
		err = exists(db, "SELECT 1 FROM account WHERE domain = $1 LIMIT 1", domain, NULL, &accounts);
	if (err == ERR_OK)
		err = exists(db, "SELECT 1 FROM alias WHERE domain = $1 LIMIT 1", domain, NULL, &aliases);
	if (err == ERR_OK && (accounts || aliases))
		err = err_set(ERR_STATE, "%.*s still has %s: remove them first", VIEW_ARG(domain),
			accounts ? "accounts" : "aliases");
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(db, "DELETE FROM domain WHERE name = $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	uint64_t changed = 0;
	err = db_run(s, &changed);
	return err == ERR_OK && changed == 0 ? not_our_domain(domain) : err;
}

enum err directory_domain_list(struct db *db, void (*row)(void *owner, struct view domain), void *owner)
{
	struct db_statement *s = db_prepare(db, "SELECT name FROM domain ORDER BY name");
	if (s == NULL)
		return ERR_IO;
	bool more;
	enum err err;
	while ((err = db_step(s, &more)) == ERR_OK && more)
		row(owner, db_column_view(s, 0));
	return err;
}

enum err directory_domain_exists(struct db *db, struct view domain, bool *ret)
{
	uint8_t lower[ADDRESS_DOMAIN_MAX_BYTES];
	if (domain.len > sizeof lower) {
		*ret = false;
		return ERR_OK;
	}
	for (size_t i = 0; i < domain.len; i++)
		lower[i] = ascii_lower(domain.ptr[i]);
	return exists(db, "SELECT 1 FROM domain WHERE name = $1", view_of(lower, domain.len), NULL, ret);
}

static const char account_exists[] = "SELECT 1 FROM account WHERE domain = $1 AND local_key = $2";
static const char alias_exists[] = "SELECT 1 FROM alias WHERE domain = $1 AND local_key = $2 LIMIT 1";

/* A new account or alias must be in one of our domains, and an address is one or the other. */
static enum err check_new(struct db *db, const struct directory_key *key, const char *other_exists, const char *other)
{
	bool ours = false, taken = false;
	enum err err = directory_domain_exists(db, key->domain, &ours);
	if (err == ERR_OK && !ours)
		return not_our_domain(key->domain);
	if (err == ERR_OK)
		err = exists(db, other_exists, key->domain, &key->local_key, &taken);
	if (err == ERR_OK && taken)
		return err_set(ERR_EXISTS, "%.*s is an %s already", VIEW_ARG(key->address), other);
	return err;
}

enum err directory_account_add(struct db *db, struct view address, struct view password_hash)
{
	struct directory_key key;
	enum err err = directory_key_parse(address, false, &key);
	if (err == ERR_OK)
		err = check_new(db, &key, alias_exists, "alias");
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(db,
		"INSERT INTO account (domain, local_key, local, address, password_hash) VALUES ($1, $2, $3, $4, $5) "
		"ON CONFLICT (domain, local_key) DO NOTHING");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, key.domain);
	db_bind_text(s, 2, key.local_key);
	db_bind_text(s, 3, key.local);
	db_bind_text(s, 4, key.address);
	db_bind_text(s, 5, password_hash);
	uint64_t changed = 0;
	err = db_run(s, &changed);
	if (err == ERR_OK && changed == 0)
		err = err_set(ERR_EXISTS, "%.*s is an account already", VIEW_ARG(key.address));
	return err;
}

static enum err no_account(struct view address)
{
	return err_set(ERR_NOT_FOUND, "there is no account %.*s", VIEW_ARG(address));
}

enum err directory_account_set_password(struct db *db, struct view address, struct view password_hash)
{
	struct directory_key key;
	enum err err = directory_key_parse(address, false, &key);
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(
		db, "UPDATE account SET password_hash = $3 WHERE domain = $1 AND local_key = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, key.domain);
	db_bind_text(s, 2, key.local_key);
	db_bind_text(s, 3, password_hash);
	uint64_t changed = 0;
	err = db_run(s, &changed);
	return err == ERR_OK && changed == 0 ? no_account(key.address) : err;
}

enum err directory_account_remove(struct db *db, struct view address)
{
	struct directory_key key;
	enum err err = directory_key_parse(address, false, &key);
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(db, "DELETE FROM account WHERE domain = $1 AND local_key = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, key.domain);
	db_bind_text(s, 2, key.local_key);
	uint64_t changed = 0;
	err = db_run(s, &changed);
	return err == ERR_OK && changed == 0 ? no_account(key.address) : err;
}

enum err directory_account_list(
	struct db *db, struct view domain, void (*row)(void *owner, struct view address, bool can_log_in), void *owner)
{
	uint8_t lower[ADDRESS_DOMAIN_MAX_BYTES];
	enum err err = domain.len > 0 ? lower_domain(domain, lower, &domain) : ERR_OK;
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(db,
		"SELECT address, password_hash <> '' FROM account WHERE $1 = '' OR domain = $1 ORDER BY domain, "
		"local_key");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	bool more;
	while ((err = db_step(s, &more)) == ERR_OK && more)
		row(owner, db_column_view(s, 0), db_column_int(s, 1) != 0);
	return err;
}

enum err directory_account_login(
	struct db *db, struct view login, struct buf *ret_address, struct buf *ret_password_hash)
{
	struct directory_key key;
	/* A malformed name is an unknown one: whoever logs in learns no more from the one than from the other. */
	if (directory_key_parse(login, false, &key) != ERR_OK)
		return err_set(ERR_NOT_FOUND, "there is no such account");
	struct db_statement *s = db_prepare(
		db, "SELECT address, password_hash FROM account WHERE domain = $1 AND local_key = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, key.domain);
	db_bind_text(s, 2, key.local_key);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK)
		return err;
	if (!row)
		return err_set(ERR_NOT_FOUND, "there is no such account");
	size_t before = ret_address->len;
	err = buf_append(ret_address, db_column_view(s, 0));
	if (err == ERR_OK)
		err = buf_append(ret_password_hash, db_column_view(s, 1));
	if (err != ERR_OK)
		ret_address->len = before;
	db_reset(s);
	return err;
}

enum err directory_alias_add(struct db *db, struct view alias, struct view target)
{
	struct directory_key from, to;
	enum err err = directory_key_parse(alias, true, &from);
	if (err == ERR_OK)
		err = directory_key_parse(target, false, &to);
	if (err == ERR_OK && view_eq(from.domain, to.domain) && view_eq(from.local_key, to.local_key))
		err = err_set(ERR_STATE, "%.*s would lead to itself", VIEW_ARG(from.address));
	if (err == ERR_OK)
		err = check_new(db, &from, account_exists, "account");
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(db,
		"INSERT INTO alias (domain, local_key, target_key, address, target) VALUES ($1, $2, $3, $4, $5) "
		"ON CONFLICT DO NOTHING");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, from.domain);
	db_bind_text(s, 2, from.local_key);
	db_bind_text(s, 3, to.address_key);
	db_bind_text(s, 4, from.address);
	db_bind_text(s, 5, to.address);
	uint64_t changed = 0;
	err = db_run(s, &changed);
	if (err == ERR_OK && changed == 0)
		err = err_set(ERR_EXISTS, "%.*s leads to %.*s already", VIEW_ARG(from.address), VIEW_ARG(to.address));
	return err;
}

enum err directory_alias_remove(struct db *db, struct view alias, struct view target)
{
	struct directory_key from, to = { .used = 0 };
	enum err err = directory_key_parse(alias, true, &from);
	if (err == ERR_OK && target.len > 0)
		err = directory_key_parse(target, false, &to);
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(
		db, "DELETE FROM alias WHERE domain = $1 AND local_key = $2 AND ($3 = '' OR target_key = $3)");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, from.domain);
	db_bind_text(s, 2, from.local_key);
	db_bind_text(s, 3, to.address_key);
	uint64_t changed = 0;
	err = db_run(s, &changed);
	if (err == ERR_OK && changed == 0)
		err = err_set(ERR_NOT_FOUND, "there is no such alias %.*s", VIEW_ARG(from.address));
	return err;
}

enum err directory_alias_list(
	struct db *db, struct view domain, void (*row)(void *owner, struct view alias, struct view target), void *owner)
{
	uint8_t lower[ADDRESS_DOMAIN_MAX_BYTES];
	enum err err = domain.len > 0 ? lower_domain(domain, lower, &domain) : ERR_OK;
	if (err != ERR_OK)
		return err;
	struct db_statement *s = db_prepare(db,
		"SELECT address, target FROM alias WHERE $1 = '' OR domain = $1 ORDER BY domain, local_key, "
		"target_key");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	bool more;
	while ((err = db_step(s, &more)) == ERR_OK && more)
		row(owner, db_column_view(s, 0), db_column_view(s, 1));
	return err;
}
