#include "store/directory_private.h"

#include "base/mem.h"

#include <string.h>

#define LEVELS_MAX 10u
#define TARGETS_MAX 1000u
/* Alias rows followed in all, so that lists of lists end too; and each is looked for among the ones before. */
#define VISITS_MAX 4000u

/* An alias that was entered. It may be met again: below itself (a loop, nothing found yet) or beside (then the answer is known). */
struct visit {
	uint64_t hash;
	struct view key; /* "local_key@domain" in the arena */
	bool found;
};

struct search {
	struct db *db;
	const struct directory_options *options;
	struct arena *arena;
	struct directory_target *targets;
	uint64_t *target_hashes;
	struct visit *visits;
	size_t target_count, target_cap, visit_count, visit_cap, rows;
};

static enum err no_memory(void)
{
	return err_set(ERR_LIMIT, "the alias leads to more addresses than there is memory for");
}

static enum err add_target(struct search *search, struct view address, struct view mailbox, bool is_mailbox)
{
	/* Another server may tell the case of local parts apart; we don't. */
	uint64_t hash = view_hash_nocase(address);
	for (size_t i = 0; i < search->target_count; i++) {
		struct view other = search->targets[i].address;
		if (search->target_hashes[i] == hash &&
			(is_mailbox ? view_eq_nocase(other, address) : view_eq(other, address)))
			return ERR_OK;
	}
	if (search->target_count == TARGETS_MAX)
		return err_set(ERR_LIMIT, "the alias leads to more than %u addresses", TARGETS_MAX);
	if (search->target_count == search->target_cap) {
		size_t cap = search->target_cap > 0 ? search->target_cap * 2 : 4;
		search->targets = mem_resize(search->targets, cap * sizeof *search->targets);
		search->target_hashes = mem_resize(search->target_hashes, cap * sizeof *search->target_hashes);
		search->target_cap = cap;
	}
	struct directory_target target = { .is_mailbox = is_mailbox };
	if (arena_dup(search->arena, address, &target.address) != ERR_OK ||
		arena_dup(search->arena, mailbox, &target.mailbox) != ERR_OK)
		return no_memory();
	search->target_hashes[search->target_count] = hash;
	search->targets[search->target_count++] = target;
	return ERR_OK;
}

/* The account with this local part, if there is one, becomes a target. `address` is where the mail was sent, perhaps with a tag. */
static enum err try_account(
	struct search *search, struct view local_key, struct view domain, struct view address, bool *ret_found)
{
	struct db_statement *s = db_prepare(
		search->db, "SELECT address FROM account WHERE domain = $1 AND local_key = $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	db_bind_text(s, 2, local_key);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK || !row)
		return err;
	err = add_target(search, address, db_column_view(s, 0), true);
	db_reset(s);
	if (err == ERR_OK)
		*ret_found = true;
	return err;
}

/* An alias's targets, copied: the statement is needed again while they are followed. */
static enum err load_targets(
	struct search *search, struct view local_key, struct view domain, struct view **ret, size_t *ret_count)
{
	struct db_statement *s = db_prepare(
		search->db, "SELECT target FROM alias WHERE domain = $1 AND local_key = $2 ORDER BY target_key");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	db_bind_text(s, 2, local_key);
	struct view *targets = NULL;
	size_t count = 0, cap = 0;
	bool row;
	enum err err;
	while ((err = db_step(s, &row)) == ERR_OK && row) {
		if (count == cap) {
			cap = cap > 0 ? cap * 2 : 4;
			targets = mem_resize(targets, cap * sizeof *targets);
		}
		if (++search->rows > VISITS_MAX)
			err = err_set(ERR_LIMIT, "the alias leads to more than %u others", VISITS_MAX);
		else if (arena_dup(search->arena, db_column_view(s, 0), &targets[count++]) != ERR_OK)
			err = no_memory();
		if (err != ERR_OK)
			break;
	}
	db_reset(s);
	if (err != ERR_OK) {
		mem_free(targets);
		return err;
	}
	*ret = targets;
	*ret_count = count;
	return ERR_OK;
}

/* The index of this alias among those entered, or a new entry (*ret_new). */
static enum err enter(
	struct search *search, struct view local_key, struct view domain, size_t *ret_index, bool *ret_new)
{
	uint8_t text[2 * ADDRESS_PATH_MAX_BYTES + 1];
	if (local_key.len + domain.len + 1 > sizeof text)
		return err_set(ERR_LIMIT, "the address is too long");
	size_t len = 0;
	for (size_t i = 0; i < local_key.len; i++)
		text[len++] = local_key.ptr[i];
	text[len++] = '@';
	for (size_t i = 0; i < domain.len; i++)
		text[len++] = domain.ptr[i];
	struct view key = view_of(text, len);
	uint64_t hash = view_hash(key);
	for (size_t i = 0; i < search->visit_count; i++)
		if (search->visits[i].hash == hash && view_eq(search->visits[i].key, key)) {
			*ret_index = i;
			*ret_new = false;
			return ERR_OK;
		}
	if (search->visit_count == search->visit_cap) {
		search->visit_cap = search->visit_cap > 0 ? search->visit_cap * 2 : 8;
		search->visits = mem_resize(search->visits, search->visit_cap * sizeof *search->visits);
	}
	struct visit *visit = &search->visits[search->visit_count];
	*visit = (struct visit){ .hash = hash };
	if (arena_dup(search->arena, key, &visit->key) != ERR_OK)
		return no_memory();
	*ret_index = search->visit_count++;
	*ret_new = true;
	return ERR_OK;
}

static enum err follow(struct search *search, struct view address, unsigned level, bool *ret_found);

/* If there is such an alias, *ret_exists, and everything it leads to becomes a target. */
static enum err try_alias(struct search *search, struct view local_key, struct view domain, unsigned level,
	bool *ret_exists, bool *ret_found)
{
	struct view *targets = NULL;
	size_t count = 0, index = 0;
	enum err err = load_targets(search, local_key, domain, &targets, &count);
	if (err != ERR_OK || count == 0) {
		mem_free(targets);
		return err;
	}
	*ret_exists = true;
	bool is_new = false, found = false;
	err = enter(search, local_key, domain, &index, &is_new);
	if (err == ERR_OK && is_new && level == LEVELS_MAX)
		err = err_set(ERR_LIMIT, "the alias leads through more than %u others", LEVELS_MAX);
	for (size_t i = 0; i < count && err == ERR_OK && is_new; i++)
		err = follow(search, targets[i], level + 1, &found);
	mem_free(targets);
	if (err != ERR_OK)
		return err;
	if (is_new)
		search->visits[index].found = found;
	if (search->visits[index].found)
		*ret_found = true;
	return ERR_OK;
}

static enum err first_account(struct search *search, bool *ret_found)
{
	struct db_statement *s = db_prepare(search->db, "SELECT address FROM account ORDER BY id LIMIT 1");
	if (s == NULL)
		return ERR_IO;
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK || !row)
		return err;
	struct view address = db_column_view(s, 0);
	err = add_target(search, address, address, true);
	db_reset(s);
	if (err == ERR_OK)
		*ret_found = true;
	return err;
}

/* RFC 5321 §4.5.1: a domain that takes mail takes it for its postmaster. RFC 2142 says the like of abuse. */
static enum err fall_back(struct search *search, const struct directory_key *key, unsigned level, bool *ret_found)
{
	if (!view_eq(key->local_key, VIEW("postmaster")) && !view_eq(key->local_key, VIEW("abuse")))
		return ERR_OK;
	enum err err = ERR_OK;
	if (search->options->postmaster.len > 0) {
		size_t index;
		bool is_new = false;
		bool found = false;
		/* Where postmasters' mail goes may itself be one of these addresses. */
		err = enter(search, VIEW("*postmaster"), VIEW_NONE, &index, &is_new);
		if (err == ERR_OK && is_new && level < LEVELS_MAX)
			err = follow(search, search->options->postmaster, level + 1, &found);
		if (err != ERR_OK)
			return err;
		if (is_new)
			search->visits[index].found = found;
		*ret_found = search->visits[index].found;
	}
	if (err == ERR_OK && !*ret_found)
		err = first_account(search, ret_found);
	return err;
}

/* An address in one of our domains; the look-up order of directory_find(). */
static enum err resolve(struct search *search, const struct directory_key *key, unsigned level, bool *ret_found)
{
	struct view base = key->local_key;
	for (size_t i = 1; i < base.len; i++)
		if (view_find(search->options->delimiter, base.ptr[i]) < search->options->delimiter.len) {
			base.len = i;
			break;
		}
	bool tagged = base.len < key->local_key.len, exists = false, found = false;
	enum err err = try_account(search, key->local_key, key->domain, key->address, &found);
	if (err == ERR_OK && !found && tagged)
		err = try_account(search, base, key->domain, key->address, &found);
	if (err == ERR_OK && !found)
		err = try_alias(search, key->local_key, key->domain, level, &exists, &found);
	if (err == ERR_OK && !found && !exists && tagged)
		err = try_alias(search, base, key->domain, level, &exists, &found);
	if (err == ERR_OK && !found && !exists)
		err = try_alias(search, VIEW_NONE, key->domain, level, &exists, &found);
	if (err == ERR_OK && !found)
		err = fall_back(search, key, level, &found);
	if (err == ERR_OK && found)
		*ret_found = true;
	return err;
}

/* What an alias names: an address of ours is looked up in turn, any other is a target as it stands. */
static enum err follow(struct search *search, struct view address, unsigned level, bool *ret_found)
{
	struct directory_key key;
	enum err err = directory_key_parse(address, false, &key);
	if (err != ERR_OK)
		return err;
	bool ours = false;
	err = directory_domain_exists(search->db, key.domain, &ours);
	if (err != ERR_OK)
		return err;
	if (ours)
		return resolve(search, &key, level, ret_found);
	err = add_target(search, key.address, VIEW_NONE, false);
	if (err == ERR_OK)
		*ret_found = true;
	return err;
}

static enum err find(struct search *search, struct view local, struct view domain, struct directory_lookup *ret)
{
	struct directory_key key;
	bool ours = false, found = false;
	enum err err = directory_domain_exists(search->db, domain, &ours);
	if (err != ERR_OK || !ours) {
		if (err == ERR_OK)
			*ret = (struct directory_lookup){ .result = DIRECTORY_NOT_OURS };
		return err;
	}
	/* Longer than an address may be: nobody's. */
	if (local.len > ADDRESS_LOCAL_MAX_BYTES) {
		*ret = (struct directory_lookup){ .result = DIRECTORY_UNKNOWN };
		return ERR_OK;
	}
	err = directory_key_make(local, domain, &key);
	if (err == ERR_OK)
		err = resolve(search, &key, 0, &found);
	if (err != ERR_OK)
		return err;
	struct directory_lookup lookup = { .result = found ? DIRECTORY_FOUND : DIRECTORY_UNKNOWN };
	if (search->target_count > 0) {
		size_t bytes = search->target_count * sizeof *lookup.targets;
		lookup.targets = arena_alloc(search->arena, bytes);
		if (lookup.targets == NULL)
			return no_memory();
		memcpy(lookup.targets, search->targets, bytes);
		lookup.target_count = search->target_count;
	}
	*ret = lookup;
	return ERR_OK;
}

enum err directory_find(struct db *db, const struct directory_options *options, struct view local, struct view domain,
	struct arena *arena, struct directory_lookup *ret)
{
	struct search search = { .db = db, .options = options, .arena = arena };
	enum err err = find(&search, local, domain, ret);
	mem_free(search.targets);
	mem_free(search.target_hashes);
	mem_free(search.visits);
	return err;
}
