#include "store/suspension_store.h"

#include <stdlib.h>

static const char *const kind_names[] = {
	[SUSPENSION_DOMAIN] = "domain",
	[SUSPENSION_SITE] = "site",
	[SUSPENSION_SMARTHOST] = "smarthost",
	[SUSPENSION_STREAM] = "stream",
};
_Static_assert(sizeof kind_names / sizeof kind_names[0] == SUSPENSION_KINDS, "every kind has its name");

const char *suspension_kind_name(enum suspension_kind kind)
{
	return kind_names[kind];
}

bool suspension_kind_parse(struct view text, enum suspension_kind *ret)
{
	for (size_t i = 0; i < SUSPENSION_KINDS; i++) {
		if (!view_eq(text, view_from_cstr(kind_names[i])))
			continue;
		*ret = (enum suspension_kind)i;
		return true;
	}
	return false;
}

static enum err check(const struct suspension *suspension)
{
	const char *kind = kind_names[suspension->kind];
	if (suspension->name.len == 0)
		return err_set(ERR_SYNTAX, "the %s's name is empty", kind);
	if (suspension->name.len > SUSPENSION_NAME_MAX_BYTES)
		return err_set(ERR_LIMIT, "the %s's name is longer than %u bytes", kind, SUSPENSION_NAME_MAX_BYTES);
	if (suspension->reason.len > SUSPENSION_REASON_MAX_BYTES)
		return err_set(ERR_LIMIT, "the reason is longer than %u bytes", SUSPENSION_REASON_MAX_BYTES);
	return ERR_OK;
}

/* Whether there is room for one more (or for this one's new values). */
static enum err check_room(struct db *db, const char *kind, struct view name)
{
	struct db_statement *s = db_prepare(db, "SELECT COUNT(*) FROM suspension WHERE NOT (kind = $1 AND name = $2)");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, view_from_cstr(kind));
	db_bind_text(s, 2, name);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK || !row)
		return err;
	int64_t others = db_column_int(s, 0);
	db_reset(s);
	if (others >= (int64_t)SUSPENSIONS_MAX)
		return err_set(ERR_LIMIT, "there are %u suspensions already, and no more are kept", SUSPENSIONS_MAX);
	return ERR_OK;
}

static enum err lower_name(struct view name, struct buf *out)
{
	enum err err = buf_append(out, name);
	for (size_t i = 0; err == ERR_OK && i < out->len; i++)
		out->ptr[i] = ascii_lower(out->ptr[i]);
	return err;
}

static enum err write_row(struct db *db, const struct suspension *suspension, struct view name)
{
	struct db_statement *s = db_prepare(db,
		"INSERT INTO suspension (kind, name, until_ms, reason) VALUES ($1, $2, $3, $4) ON CONFLICT (kind, "
		"name) "
		"DO UPDATE SET until_ms = excluded.until_ms, reason = excluded.reason");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, view_from_cstr(kind_names[suspension->kind]));
	db_bind_text(s, 2, name);
	db_bind_int(s, 3, suspension->until_ms);
	db_bind_text(s, 4, suspension->reason);
	return db_run(s, NULL);
}

enum err suspension_store_set(struct db *db, const struct suspension *suspension)
{
	struct buf name = { 0 };
	enum err err = check(suspension);
	if (err == ERR_OK)
		err = lower_name(suspension->name, &name);
	if (err == ERR_OK)
		err = check_room(db, kind_names[suspension->kind], buf_view(&name));
	if (err == ERR_OK)
		err = write_row(db, suspension, buf_view(&name));
	buf_clear(&name);
	return err;
}

enum err suspension_store_remove(struct db *db, enum suspension_kind kind, struct view name, bool *ret_was_there)
{
	struct db_statement *s = db_prepare(db, "DELETE FROM suspension WHERE kind = $1 AND name = $2");
	if (s == NULL)
		return ERR_IO;
	struct buf lower = { 0 };
	enum err err = lower_name(name, &lower);
	uint64_t changed = 0;
	if (err == ERR_OK) {
		db_bind_text(s, 1, view_from_cstr(kind_names[kind]));
		db_bind_text(s, 2, buf_view(&lower));
		err = db_run(s, &changed);
	}
	buf_clear(&lower);
	if (err == ERR_OK)
		*ret_was_there = changed > 0;
	return err;
}

enum err suspension_store_tidy(struct db *db, int64_t now_ms)
{
	struct db_statement *s = db_prepare(db, "DELETE FROM suspension WHERE until_ms <> 0 AND until_ms <= $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, now_ms);
	return db_run(s, NULL);
}

static enum err read_row(struct db_statement *s, struct arena *arena, struct suspension *ret)
{
	struct suspension found = { .until_ms = db_column_int(s, 2) };
	if (!suspension_kind_parse(db_column_view(s, 0), &found.kind))
		return err_set(ERR_IO, "the store suspends something unknown");
	enum err err = arena_dup(arena, db_column_view(s, 1), &found.name);
	if (err == ERR_OK)
		err = arena_dup(arena, db_column_view(s, 3), &found.reason);
	if (err == ERR_OK)
		*ret = found;
	return err;
}

/* Stored names are in lower case. */
static int compare_lower(struct view stored, struct view name)
{
	size_t shorter = stored.len < name.len ? stored.len : name.len;
	for (size_t i = 0; i < shorter; i++) {
		int a = stored.ptr[i], b = ascii_lower(name.ptr[i]);
		if (a != b)
			return a - b;
	}
	return stored.len < name.len ? -1 : stored.len > name.len;
}

static int compare(const struct suspension *a, enum suspension_kind kind, struct view name)
{
	if (a->kind != kind)
		return a->kind < kind ? -1 : 1;
	return compare_lower(a->name, name);
}

/* Sorted here, for engines differ in what follows what. */
static int compare_for_sort(const void *a, const void *b)
{
	const struct suspension *right = b;
	return compare(a, right->kind, right->name);
}

/* How many there are at most: counted first, since an arena's memory does not grow. */
static enum err count_rows(struct db *db, size_t *ret)
{
	struct db_statement *s = db_prepare(db, "SELECT COUNT(*) FROM suspension");
	if (s == NULL)
		return ERR_IO;
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK || !row)
		return err;
	*ret = (size_t)db_column_int(s, 0);
	db_reset(s);
	return ERR_OK;
}

enum err suspension_store_list(
	struct db *db, int64_t now_ms, struct arena *arena, struct suspension **ret_suspensions, size_t *ret_count)
{
	size_t room = 0, count = 0;
	enum err err = count_rows(db, &room);
	if (err != ERR_OK)
		return err;
	struct suspension *found = NULL;
	if (room > 0 && (found = arena_alloc(arena, room * sizeof *found)) == NULL)
		return err_set(ERR_LIMIT, "the suspensions do not fit into the memory given for them");
	struct db_statement *s = db_prepare(
		db, "SELECT kind, name, until_ms, reason FROM suspension WHERE until_ms = 0 OR until_ms > $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, now_ms);
	bool row;
	while ((err = db_step(s, &row)) == ERR_OK && row && count < room) {
		err = read_row(s, arena, &found[count]);
		if (err != ERR_OK)
			break;
		count++;
	}
	db_reset(s);
	if (err != ERR_OK)
		return err;
	if (count > 1)
		qsort(found, count, sizeof *found, compare_for_sort);
	*ret_suspensions = found;
	*ret_count = count;
	return ERR_OK;
}

const struct suspension *suspension_find(
	const struct suspension *suspensions, size_t count, enum suspension_kind kind, struct view name, int64_t now_ms)
{
	size_t first = 0, end = count;
	while (first < end) {
		size_t middle = first + (end - first) / 2;
		const struct suspension *s = &suspensions[middle];
		int order = compare(s, kind, name);
		if (order == 0)
			return s->until_ms == 0 || s->until_ms > now_ms ? s : NULL;
		if (order < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return NULL;
}

enum err suspension_reply(const struct suspension *suspension, struct buf *out)
{
	size_t before = out->len;
	enum err err = buf_append_format(
		out, SUSPENSION_REPLY ": %s %.*s", kind_names[suspension->kind], VIEW_ARG(suspension->name));
	if (err == ERR_OK && suspension->reason.len > 0)
		err = buf_append_format(out, " (%.*s)", VIEW_ARG(suspension->reason));
	if (err != ERR_OK)
		out->len = before;
	return err;
}
