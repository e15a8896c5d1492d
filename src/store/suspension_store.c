#include "store/suspension_store.h"

#include <stdlib.h>

static const char *const kind_names[] = {
	[SUSPENSION_DOMAIN] = "domain",
	[SUSPENSION_SITE] = "site",
	[SUSPENSION_SMARTHOST] = "smarthost",
	[SUSPENSION_STREAM] = "stream",
};
_Static_assert(sizeof kind_names / sizeof kind_names[0] == SUSPENSION_KINDS, "every kind has its name");

static const char *const source_names[] = {
	[SUSPENSION_BY_OPERATOR] = "operator",
	[SUSPENSION_BY_RULE] = "rule",
};
_Static_assert(sizeof source_names / sizeof source_names[0] == SUSPENSION_SOURCES, "every source has its name");

static const char *const replies[] = {
	[SUSPENSION_BY_OPERATOR] = "450 4.3.2 Suspended by the administrator: ",
	[SUSPENSION_BY_RULE] = "451 4.7.0 Mail is suspended by a shaping rule: ",
};
#define STREAM_MARK ", stream "

const char *suspension_kind_name(enum suspension_kind kind)
{
	return kind_names[kind];
}

const char *suspension_source_name(enum suspension_source source)
{
	return source_names[source];
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
	if (suspension->stream.len > SUSPENSION_STREAM_MAX_BYTES)
		return err_set(ERR_LIMIT, "the stream's name is longer than %u bytes", SUSPENSION_STREAM_MAX_BYTES);
	if (suspension->reason.len > SUSPENSION_REASON_MAX_BYTES)
		return err_set(ERR_LIMIT, "the reason is longer than %u bytes", SUSPENSION_REASON_MAX_BYTES);
	ASSERT(suspension->stream.len == 0 || suspension->kind == SUSPENSION_SITE);
	return ERR_OK;
}

/* Whether there is room for one more of an operator's (or for this one's new values). */
static enum err check_room(struct db *db, const struct suspension *lower)
{
	struct db_statement *s = db_prepare(db,
		"SELECT COUNT(*) FROM suspension WHERE source = 'operator' AND NOT (kind = $1 AND name = $2 AND stream "
		"= $3)");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, view_from_cstr(kind_names[lower->kind]));
	db_bind_text(s, 2, lower->name);
	db_bind_text(s, 3, lower->stream);
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

/* Name and stream as they are kept, in `texts`. */
static enum err lower_names(struct suspension *suspension, struct buf *texts)
{
	struct view name = suspension->name, stream = suspension->stream;
	enum err err = buf_append(texts, name);
	if (err == ERR_OK)
		err = buf_append(texts, stream);
	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < texts->len; i++)
		texts->ptr[i] = ascii_lower(texts->ptr[i]);
	suspension->name = view_sub(buf_view(texts), 0, name.len);
	suspension->stream = view_from(buf_view(texts), name.len);
	return ERR_OK;
}

static enum err write_row(struct db *db, const struct suspension *lower)
{
	struct db_statement *s = db_prepare(db,
		"INSERT INTO suspension (source, kind, name, stream, until_ms, reason) VALUES ($1, $2, $3, $4, $5, $6) "
		"ON CONFLICT (source, kind, name, stream) DO UPDATE SET until_ms = excluded.until_ms, reason = "
		"excluded.reason");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, view_from_cstr(source_names[lower->source]));
	db_bind_text(s, 2, view_from_cstr(kind_names[lower->kind]));
	db_bind_text(s, 3, lower->name);
	db_bind_text(s, 4, lower->stream);
	db_bind_int(s, 5, lower->until_ms);
	db_bind_text(s, 6, lower->reason);
	return db_run(s, NULL);
}

enum err suspension_store_set(struct db *db, const struct suspension *suspension)
{
	struct buf texts = { 0 };
	struct suspension lower = *suspension;
	enum err err = check(suspension);
	if (err == ERR_OK)
		err = lower_names(&lower, &texts);
	if (err == ERR_OK && lower.source == SUSPENSION_BY_OPERATOR)
		err = check_room(db, &lower);
	if (err == ERR_OK)
		err = write_row(db, &lower);
	buf_clear(&texts);
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

static bool source_parse(struct view text, enum suspension_source *ret)
{
	for (size_t i = 0; i < SUSPENSION_SOURCES; i++) {
		if (!view_eq(text, view_from_cstr(source_names[i])))
			continue;
		*ret = (enum suspension_source)i;
		return true;
	}
	return false;
}

/* The last is how many rows there are at most, since an arena's memory does not grow: in the same statement, or one that is written meanwhile would take
 * another's place. */
#define COLUMNS "source, kind, name, stream, until_ms, reason, (SELECT COUNT(*) FROM suspension)"

static enum err read_row(struct db_statement *s, struct arena *arena, struct suspension *ret)
{
	struct suspension found = { .until_ms = db_column_int(s, 4) };
	if (!source_parse(db_column_view(s, 0), &found.source) ||
		!suspension_kind_parse(db_column_view(s, 1), &found.kind))
		return err_set(ERR_IO, "the store suspends something unknown");
	enum err err = arena_dup(arena, db_column_view(s, 2), &found.name);
	if (err == ERR_OK)
		err = arena_dup(arena, db_column_view(s, 3), &found.stream);
	if (err == ERR_OK)
		err = arena_dup(arena, db_column_view(s, 5), &found.reason);
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

static int compare(const struct suspension *stored, const struct suspension *wanted)
{
	if (stored->kind != wanted->kind)
		return stored->kind < wanted->kind ? -1 : 1;
	int order = compare_lower(stored->name, wanted->name);
	if (order == 0)
		order = compare_lower(stored->stream, wanted->stream);
	if (order == 0 && stored->source != wanted->source)
		order = stored->source < wanted->source ? -1 : 1;
	return order;
}

/* Sorted here, for engines differ in what follows what. */
static int compare_for_sort(const void *a, const void *b)
{
	return compare(a, b);
}

/* The rows of a statement that is bound; it is reset. */
static enum err read_rows(
	struct db_statement *s, struct arena *arena, struct suspension **ret_suspensions, size_t *ret_count)
{
	size_t room = 0, count = 0;
	struct suspension *found = NULL;
	bool row = false;
	enum err err;
	while ((err = db_step(s, &row)) == ERR_OK && row) {
		if (found == NULL) {
			room = (size_t)db_column_int(s, 6);
			found = arena_alloc(arena, room * sizeof *found);
		}
		ASSERT(found == NULL || count < room);
		err = found == NULL ? err_set(ERR_LIMIT, "the suspensions do not fit into the memory given for them")
				    : read_row(s, arena, &found[count++]);
		if (err != ERR_OK)
			break;
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

enum err suspension_store_list(
	struct db *db, int64_t now_ms, struct arena *arena, struct suspension **ret_suspensions, size_t *ret_count)
{
	struct db_statement *s = db_prepare(
		db, "SELECT " COLUMNS " FROM suspension WHERE until_ms = 0 OR until_ms > $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, now_ms);
	return read_rows(s, arena, ret_suspensions, ret_count);
}

#define NAMES_IT                                                                                                       \
	"((kind = $1 AND name = $2 AND ($3 = '' OR stream = $3)) OR "                                                  \
	"($1 = 'stream' AND kind = 'site' AND stream = $2))"

static void bind_name(struct db_statement *s, const struct suspension *lower)
{
	db_bind_text(s, 1, view_from_cstr(kind_names[lower->kind]));
	db_bind_text(s, 2, lower->name);
	db_bind_text(s, 3, lower->stream);
}

static enum err list_named(struct db *db, const struct suspension *lower, int64_t now_ms, struct arena *arena,
	struct suspension **ret_suspensions, size_t *ret_count)
{
	struct db_statement *s = db_prepare(
		db, "SELECT " COLUMNS " FROM suspension WHERE " NAMES_IT " AND (until_ms = 0 OR until_ms > $4)");
	if (s == NULL)
		return ERR_IO;
	bind_name(s, lower);
	db_bind_int(s, 4, now_ms);
	return read_rows(s, arena, ret_suspensions, ret_count);
}

static enum err remove_named(struct db *db, const struct suspension *lower)
{
	struct db_statement *s = db_prepare(db, "DELETE FROM suspension WHERE " NAMES_IT);
	if (s == NULL)
		return ERR_IO;
	bind_name(s, lower);
	return db_run(s, NULL);
}

enum err suspension_store_lift(struct db *db, enum suspension_kind kind, struct view name, struct view stream,
	int64_t now_ms, struct arena *arena, struct suspension **ret_suspensions, size_t *ret_count)
{
	struct buf texts = { 0 };
	struct suspension lower = { .kind = kind, .name = name, .stream = stream };
	enum err err = lower_names(&lower, &texts);
	if (err == ERR_OK)
		err = list_named(db, &lower, now_ms, arena, ret_suspensions, ret_count);
	if (err == ERR_OK)
		err = remove_named(db, &lower);
	buf_clear(&texts);
	return err;
}

const struct suspension *suspension_find(
	const struct suspension *suspensions, size_t count, const struct suspension *wanted, int64_t now_ms)
{
	size_t first = 0, end = count;
	while (first < end) {
		size_t middle = first + (end - first) / 2;
		const struct suspension *s = &suspensions[middle];
		int order = compare(s, wanted);
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
	enum err err = buf_append_format(out, "%s%s %.*s", replies[suspension->source], kind_names[suspension->kind],
		VIEW_ARG(suspension->name));
	if (err == ERR_OK && suspension->stream.len > 0)
		err = buf_append_format(out, STREAM_MARK "%.*s", VIEW_ARG(suspension->stream));
	if (err == ERR_OK && suspension->reason.len > 0)
		err = buf_append_format(out, " (%.*s)", VIEW_ARG(suspension->reason));
	if (err != ERR_OK)
		out->len = before;
	return err;
}

/* What stands behind "… rule: "; empty: it is no such reply. */
static struct view named_by(struct view reply)
{
	for (size_t i = 0; i < SUSPENSION_SOURCES; i++)
		if (view_starts_with(reply, view_from_cstr(replies[i])))
			return view_from(reply, view_from_cstr(replies[i]).len);
	return VIEW_NONE;
}

bool suspension_is_reply(struct view reply)
{
	return named_by(reply).len > 0;
}

/* `text` begins with it, and goes on with nothing or the reason; or with a stream, where all of a site is meant. */
static bool begins_with_name(struct view text, struct view name)
{
	if (!view_starts_with_nocase(text, name))
		return false;
	struct view rest = view_from(text, name.len);
	return rest.len == 0 || view_starts_with(rest, VIEW(" (")) || view_starts_with(rest, VIEW(STREAM_MARK));
}

bool suspension_reply_names(struct view reply, struct view what)
{
	struct view named = named_by(reply), mark = VIEW(STREAM_MARK);
	if (named.len == 0 || what.len == 0)
		return false;
	if (begins_with_name(named, what))
		return true;
	/* A stream at a site: the site's name has no blank in it, and a reason would begin with one and a bracket. */
	if (!view_starts_with_nocase(what, VIEW("stream ")) || !view_starts_with(named, VIEW("site ")))
		return false;
	struct view site = view_from(named, VIEW("site ").len);
	size_t blank = view_find(site, ' ');
	if (blank == 0 || !view_starts_with(view_from(site, blank - 1), mark))
		return false;
	return begins_with_name(view_from(site, blank - 1 + VIEW(", ").len), what);
}
