/* Administration of domains, accounts and aliases. */
#include "service/admin_private.h"

#include "base/mem.h"
#include "mail/address.h"
#include "store/directory_store.h"

#include <string.h>

/* The store's outcome as a sentence with the name in it; other errors keep the store's own words. */
static enum err explain(enum err err, enum err when, const char *before, struct buf *name, const char *after)
{
	return err == when ? err_set(err, "%s%s%s", before, buf_cstr(name), after) : err;
}

static enum err normalised_domain(const struct admin_call *call, struct buf *out)
{
	struct view given = admin_text(call, "domain");
	return given.len == 0 ? ERR_OK : admin_normalise_domain(given, out);
}

static enum err domain_add(struct admin_call *call)
{
	struct buf domain = { 0 };
	enum err err = admin_normalise_domain(admin_text(call, "domain"), &domain);
	if (err == ERR_OK)
		err = explain(directory_domain_add(call->db, buf_view(&domain)), ERR_EXISTS, "the domain ", &domain,
			" is already ours");
	if (err == ERR_OK)
		admin_set(call->result, "domain", admin_json_text(buf_view(&domain)));
	call->effects->directory_changed = true;
	buf_clear(&domain);
	return err;
}

static enum err domain_remove(struct admin_call *call)
{
	struct buf domain = { 0 };
	enum err err = admin_normalise_domain(admin_text(call, "domain"), &domain);
	if (err == ERR_OK) {
		err = directory_domain_remove(call->db, buf_view(&domain));
		err = explain(err, ERR_NOT_FOUND, "the domain ", &domain, " is not one of ours");
		err = explain(
			err, ERR_STATE, "the domain ", &domain, " still has accounts or aliases: remove them first");
	}
	if (err == ERR_OK)
		admin_set(call->result, "domain", admin_json_text(buf_view(&domain)));
	call->effects->directory_changed = true;
	buf_clear(&domain);
	return err;
}

static void append_domain(void *owner, struct view domain)
{
	admin_append(owner, admin_json_text(domain));
}

static enum err domain_list(struct admin_call *call)
{
	json_t *domains = json_array();
	admin_set(call->result, "domains", domains);
	return directory_domain_list(call->db, append_domain, domains);
}

/* An account's local part names its mail folder, so what a path gives a meaning to is refused; quoted local parts ("a b"@…) are
 * legal in envelopes but not worth a mailbox. */
static enum err check_account_name(struct view address)
{
	struct view local = view_sub(address, 0, view_find_last(address, '@'));
	struct view domain = view_from(address, view_find_last(address, '@') + 1);
	if (local.len == 0 || local.ptr[0] == '"')
		return err_set(ERR_SYNTAX, "an account's name can't need quotes: use letters, digits, dots and dashes");
	if (view_find(local, '/') < local.len)
		return err_set(ERR_SYNTAX, "an account's name can't have a '/' in it, because it names a folder");
	if (domain.len == 0 || domain.ptr[0] == '[')
		return err_set(ERR_SYNTAX, "an account needs a domain name, not an address literal");
	return ERR_OK;
}

static enum err read_account(const struct admin_call *call, struct buf *address)
{
	enum err err = admin_normalise_address(admin_text(call, "address"), address);
	return err != ERR_OK ? err : check_account_name(buf_view(address));
}

/* The hash is computed before, where the password was typed: a clear password neither travels nor is ever in this process. */
static enum err check_hash(struct view hash)
{
	if (hash.len == 0)
		return ERR_OK;
	if (hash.len > 256 || !view_starts_with(hash, VIEW("$argon2id$")) || !view_is_ascii(hash))
		return err_set(ERR_SYNTAX, "password_hash must be an argon2id hash, never a password");
	return ERR_OK;
}

static enum err no_such_domain(enum err err, struct buf *address)
{
	struct view domain = view_from(buf_view(address), view_find_last(buf_view(address), '@') + 1);
	return err != ERR_NOT_FOUND ? err
				    : err_set(err, "the domain %.*s is not one of ours: postrider domain add %.*s",
					      VIEW_ARG(domain), VIEW_ARG(domain));
}

static enum err account_add(struct admin_call *call)
{
	struct buf address = { 0 };
	struct view hash = admin_text(call, "password_hash");
	enum err err = check_hash(hash);
	if (err == ERR_OK)
		err = read_account(call, &address);
	if (err == ERR_OK) {
		err = no_such_domain(directory_account_add(call->db, buf_view(&address), hash), &address);
		err = explain(err, ERR_EXISTS, "", &address, " exists already, as an account or an alias");
	}
	if (err == ERR_OK)
		admin_set(call->result, "address", admin_json_text(buf_view(&address)));
	call->effects->directory_changed = true;
	buf_clear(&address);
	return err;
}

static enum err account_password(struct admin_call *call)
{
	struct buf address = { 0 };
	struct view hash = admin_text(call, "password_hash");
	enum err err = check_hash(hash);
	if (err == ERR_OK)
		err = read_account(call, &address);
	if (err == ERR_OK)
		err = explain(directory_account_set_password(call->db, buf_view(&address), hash), ERR_NOT_FOUND,
			"there is no account ", &address, "");
	if (err == ERR_OK)
		admin_set(call->result, "address", admin_json_text(buf_view(&address)));
	call->effects->directory_changed = true;
	buf_clear(&address);
	return err;
}

static enum err account_remove(struct admin_call *call)
{
	struct buf address = { 0 };
	enum err err = read_account(call, &address);
	if (err == ERR_OK && view_eq_nocase(buf_view(&address), view_from_cstr(call->context->postmaster)))
		err = err_set(ERR_STATE,
			"%s is the configured postmaster: change `postmaster` in the configuration first",
			buf_cstr(&address));
	if (err == ERR_OK)
		err = explain(directory_account_remove(call->db, buf_view(&address)), ERR_NOT_FOUND,
			"there is no account ", &address, "");
	if (err == ERR_OK)
		admin_set(call->result, "address", admin_json_text(buf_view(&address)));
	call->effects->directory_changed = true;
	buf_clear(&address);
	return err;
}

static void append_account(void *owner, struct view address, bool can_log_in)
{
	json_t *account = json_object();
	admin_append(owner, account);
	admin_set(account, "address", admin_json_text(address));
	admin_set(account, "can_log_in", json_boolean(can_log_in));
}

static enum err account_list(struct admin_call *call)
{
	struct buf domain = { 0 };
	json_t *accounts = json_array();
	admin_set(call->result, "accounts", accounts);
	enum err err = normalised_domain(call, &domain);
	if (err == ERR_OK)
		err = directory_account_list(call->db, buf_view(&domain), append_account, accounts);
	buf_clear(&domain);
	return err;
}

/* "local@domain", or "@domain" for everything that has no mailbox of its own. */
static enum err read_alias(const struct admin_call *call, struct buf *out)
{
	struct view alias = admin_text(call, "alias");
	if (alias.len == 0 || alias.ptr[0] != '@')
		return admin_normalise_address(alias, out);
	enum err err = buf_append_byte(out, '@');
	return err != ERR_OK ? err : admin_normalise_domain(view_from(alias, 1), out);
}

static enum err alias_add_target(struct admin_call *call, struct buf *alias, struct view given, json_t *targets)
{
	struct buf target = { 0 };
	enum err err = admin_normalise_address(given, &target);
	if (err == ERR_OK && view_eq_nocase(buf_view(&target), buf_view(alias)))
		err = err_set(ERR_SYNTAX, "the alias %s can't point at itself", buf_cstr(alias));
	if (err == ERR_OK) {
		err = no_such_domain(directory_alias_add(call->db, buf_view(alias), buf_view(&target)), alias);
		if (err == ERR_EXISTS)
			err = err_set(err, "%s exists already: as an account, or as an alias for %s", buf_cstr(alias),
				buf_cstr(&target));
	}
	if (err == ERR_OK)
		admin_append(targets, admin_json_text(buf_view(&target)));
	buf_clear(&target);
	return err;
}

static enum err alias_add(struct admin_call *call)
{
	struct buf alias = { 0 };
	enum err err = read_alias(call, &alias);
	const json_t *given = json_object_get(call->arguments, "targets");
	json_t *targets = json_array();
	admin_set(call->result, "targets", targets);
	for (size_t i = 0; err == ERR_OK && i < json_array_size(given); i++) {
		const json_t *text = json_array_get(given, i);
		err = alias_add_target(
			call, &alias, view_of(json_string_value(text), json_string_length(text)), targets);
	}
	if (err == ERR_OK)
		admin_set(call->result, "alias", admin_json_text(buf_view(&alias)));
	call->effects->directory_changed = true;
	buf_clear(&alias);
	return err;
}

static enum err alias_remove_target(struct admin_call *call, struct buf *alias, struct view given)
{
	struct buf target = { 0 };
	enum err err = given.len == 0 ? ERR_OK : admin_normalise_address(given, &target);
	if (err == ERR_OK) {
		err = directory_alias_remove(call->db, buf_view(alias), buf_view(&target));
		if (err == ERR_NOT_FOUND)
			err = err_set(err, "there is no alias %s%s%s", buf_cstr(alias), target.len > 0 ? " for " : "",
				buf_cstr(&target));
	}
	buf_clear(&target);
	return err;
}

static enum err alias_remove(struct admin_call *call)
{
	struct buf alias = { 0 };
	enum err err = read_alias(call, &alias);
	const json_t *given = json_object_get(call->arguments, "targets");
	if (err == ERR_OK && given == NULL)
		err = alias_remove_target(call, &alias, VIEW_NONE);
	for (size_t i = 0; err == ERR_OK && i < json_array_size(given); i++) {
		const json_t *text = json_array_get(given, i);
		struct view target = view_of(json_string_value(text), json_string_length(text));
		err = target.len == 0 ? err_set(ERR_SYNTAX, "a target is empty")
				      : alias_remove_target(call, &alias, target);
	}
	if (err == ERR_OK)
		admin_set(call->result, "alias", admin_json_text(buf_view(&alias)));
	call->effects->directory_changed = true;
	buf_clear(&alias);
	return err;
}

/* Rows come pair by pair, an alias's targets next to each other. */
static void append_alias(void *owner, struct view alias, struct view target)
{
	json_t *aliases = owner;
	size_t count = json_array_size(aliases);
	json_t *last = count > 0 ? json_array_get(aliases, count - 1) : NULL;
	const json_t *last_name = json_object_get(last, "alias");
	json_t *name = admin_json_text(alias);
	if (last == NULL || !json_equal(last_name, name)) {
		last = json_object();
		admin_append(aliases, last);
		admin_set(last, "alias", json_incref(name));
		admin_set(last, "targets", json_array());
	}
	json_decref(name);
	admin_append(json_object_get(last, "targets"), admin_json_text(target));
}

static enum err alias_list(struct admin_call *call)
{
	struct buf domain = { 0 };
	json_t *aliases = json_array();
	admin_set(call->result, "aliases", aliases);
	enum err err = normalised_domain(call, &domain);
	if (err == ERR_OK)
		err = directory_alias_list(call->db, buf_view(&domain), append_alias, aliases);
	buf_clear(&domain);
	return err;
}

const struct admin_command admin_directory_commands[] = {
	{ "domain.add", true, domain_add, { { "domain", ADMIN_TEXT, true } } },
	{ "domain.remove", true, domain_remove, { { "domain", ADMIN_TEXT, true } } },
	{ "domain.list", false, domain_list, { { 0 } } },
	{ "account.add", true, account_add,
		{ { "address", ADMIN_TEXT, true }, { "password_hash", ADMIN_TEXT, false } } },
	{ "account.password", true, account_password,
		{ { "address", ADMIN_TEXT, true }, { "password_hash", ADMIN_TEXT, true } } },
	{ "account.remove", true, account_remove, { { "address", ADMIN_TEXT, true } } },
	{ "account.list", false, account_list, { { "domain", ADMIN_TEXT, false } } },
	{ "alias.add", true, alias_add, { { "alias", ADMIN_TEXT, true }, { "targets", ADMIN_TEXTS, true } } },
	{ "alias.remove", true, alias_remove, { { "alias", ADMIN_TEXT, true }, { "targets", ADMIN_TEXTS, false } } },
	{ "alias.list", false, alias_list, { { "domain", ADMIN_TEXT, false } } },
};
const size_t admin_directory_command_count = sizeof admin_directory_commands / sizeof admin_directory_commands[0];
