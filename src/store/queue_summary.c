#include "store/queue_summary_private.h"

#include "base/mem.h"
#include "store/queue_store_private.h"
#include "store/suspension_store.h"

#include <stdlib.h>
#include <string.h>

/* Groups that are told apart at a time: for the domains, 16 MiB. */
#define DOMAINS_MAX 100000u
#define OTHERS_MAX 20000u
#define NAME_MAX_BYTES 255u

const int64_t queue_summary_age_ms[QUEUE_AGES - 1] = {
	5 * 60 * 1000,
	30 * 60 * 1000,
	2 * 3600 * 1000,
	8 * 3600 * 1000,
	24 * 3600 * 1000,
	3 * 24 * 3600 * 1000,
};

/*
 * Counts by name. When there are too many names, those with the smallest counts go (at least half of all), so that it stays cheap per name.
 * An entry is one cache line, and most names stand in it: with many domains, each look at memory is what costs.
 */
#define SHORT_NAME_BYTES 47u
struct counts {
	struct entry {
		uint64_t hash, count; /* count 0: free */
		uint8_t len;
		uint8_t short_name[SHORT_NAME_BYTES]; /* of longer ones the pointer to heap memory */
	} * entries;
	size_t cap, used, max; /* cap is a power of two, above 2 × max */
	bool forgot;
};
_Static_assert(sizeof(struct entry) == 64, "an entry is a cache line");

struct queue_tally {
	struct queue_filter filter;
	struct buf texts; /* the filter's */
	struct queue_summary summary;
	int64_t now_ms;
	uint64_t after_id, end_id; /* what is left to read: behind the one, up to the other */
	uint64_t last_id; /* the last message counted */
	struct queue_scan scan;
	bool scanning;
	struct counts groups[QUEUE_GROUPINGS];
	bool sites_are_current;
};

/* Eight bytes at a time: this is asked several times per recipient. Hostile names can make chains long, but only up to counts->max names. */
static uint64_t hash_of(struct view name)
{
	const uint64_t odd = 0x9e3779b97f4a7c15u;
	uint64_t hash = (name.len + 1) * odd;
	for (size_t at = 0; at < name.len; at += 8) {
		uint64_t word = 0;
		memcpy(&word, name.ptr + at, name.len - at < 8 ? name.len - at : 8);
		hash = (hash ^ word) * odd;
		hash ^= hash >> 32;
	}
	return hash;
}

static uint8_t *long_name(const struct entry *entry)
{
	uint8_t *name;
	memcpy(&name, entry->short_name, sizeof name);
	return name;
}

static struct view name_of(const struct entry *entry)
{
	return view_of(entry->len <= SHORT_NAME_BYTES ? entry->short_name : long_name(entry), entry->len);
}

static void set_name(struct entry *entry, struct view name)
{
	entry->len = (uint8_t)name.len;
	uint8_t *at = entry->short_name;
	if (name.len > SHORT_NAME_BYTES) {
		at = mem_alloc(name.len);
		memcpy(entry->short_name, &at, sizeof at);
	}
	if (name.len > 0)
		memcpy(at, name.ptr, name.len);
}

static void free_entry(struct entry *entry)
{
	if (entry->count > 0 && entry->len > SHORT_NAME_BYTES)
		mem_free(long_name(entry));
	*entry = (struct entry){ 0 };
}

static struct entry *find_entry(const struct counts *counts, struct view name, uint64_t hash)
{
	size_t at = (size_t)hash & (counts->cap - 1);
	for (;; at = (at + 1) & (counts->cap - 1)) {
		struct entry *entry = &counts->entries[at];
		if (entry->count == 0 || (entry->hash == hash && view_eq(name_of(entry), name)))
			return entry;
	}
}

static void resize(struct counts *counts, size_t cap)
{
	struct counts larger = *counts;
	larger.cap = cap;
	larger.entries = mem_alloc_array(cap, sizeof *larger.entries);
	for (size_t i = 0; i < counts->cap; i++) {
		const struct entry *e = &counts->entries[i];
		if (e->count > 0)
			*find_entry(&larger, name_of(e), e->hash) = *e;
	}
	mem_free(counts->entries);
	*counts = larger;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return x < y ? -1 : x > y;
}

/* Drops the small half, and what is as small as its largest. */
static void forget_small(struct counts *counts)
{
	uint64_t *all = mem_alloc_array(counts->used, sizeof *all);
	size_t n = 0;
	for (size_t i = 0; i < counts->cap; i++)
		if (counts->entries[i].count > 0)
			all[n++] = counts->entries[i].count;
	qsort(all, n, sizeof *all, compare_u64);
	uint64_t limit = all[n / 2];
	mem_free(all);
	for (size_t i = 0; i < counts->cap; i++) {
		struct entry *e = &counts->entries[i];
		if (e->count == 0 || e->count > limit)
			continue;
		free_entry(e);
		counts->used--;
	}
	counts->forgot = true;
	resize(counts, counts->cap); /* the chains have gaps now */
}

static void count(struct counts *counts, struct view name, uint64_t recipients)
{
	name = view_sub(name, 0, NAME_MAX_BYTES);
	if (counts->cap == 0)
		resize(counts, 64);
	uint64_t hash = hash_of(name);
	struct entry *entry = find_entry(counts, name, hash);
	if (entry->count == 0) {
		if (counts->used == counts->max)
			forget_small(counts);
		if (counts->used * 2 >= counts->cap)
			resize(counts, counts->cap * 2);
		entry = find_entry(counts, name, hash);
		entry->hash = hash;
		set_name(entry, name);
		counts->used++;
	}
	entry->count += recipients;
}

static void count_in_lower_case(struct counts *counts, struct view name)
{
	uint8_t lower[NAME_MAX_BYTES];
	name = view_sub(name, 0, sizeof lower);
	for (size_t i = 0; i < name.len; i++)
		lower[i] = ascii_lower(name.ptr[i]);
	count(counts, view_of(lower, name.len), 1);
}

static void counts_clear(struct counts *counts)
{
	for (size_t i = 0; i < counts->cap; i++)
		free_entry(&counts->entries[i]);
	mem_free(counts->entries);
	*counts = (struct counts){ .max = counts->max };
}

enum word_kind { WORD_CONSTANT, WORD_STATUS, WORD_VARIABLE };

/* Status: "451", and behind it "4.7.1": digits that tell what it is. */
static enum word_kind kind_of(struct view word, size_t place)
{
	size_t digits = 0, dots = 0, others = 0;
	for (size_t i = 0; i < word.len; i++) {
		uint8_t c = word.ptr[i];
		if (c == '@')
			return WORD_VARIABLE;
		digits += ascii_is_digit(c);
		dots += c == '.';
		others += !ascii_is_digit(c) && c != '.';
	}
	if (digits == 0)
		return word.len > 24 ? WORD_VARIABLE : WORD_CONSTANT;
	bool status = others == 0 &&
		(place == 0 ? word.len == 3 && dots == 0 : place == 1 && word.len <= 9 && dots == 2);
	return status ? WORD_STATUS : WORD_VARIABLE;
}

size_t queue_reply_class(struct view reply, uint8_t out[QUEUE_REPLY_CLASS_MAX_BYTES])
{
	size_t len = 0, words = 0, at = 0;
	while (at < reply.len && len < QUEUE_REPLY_CLASS_MAX_BYTES) {
		size_t start = at;
		while (at < reply.len && reply.ptr[at] != ' ')
			at++;
		struct view word = view_of(reply.ptr + start, at - start);
		at++;
		if (word.len == 0)
			continue;
		if (kind_of(word, words) == WORD_VARIABLE)
			word = VIEW("#");
		if (words++ > 0)
			out[len++] = ' ';
		size_t room = QUEUE_REPLY_CLASS_MAX_BYTES - len;
		size_t n = word.len < room ? word.len : room;
		memcpy(out + len, word.ptr, n);
		len += n;
	}
	while (len > 0 && out[len - 1] == ' ')
		len--;
	return len;
}

static struct view keep(struct buf *texts, struct view text)
{
	struct view kept = VIEW_NONE;
	if (buf_append(texts, text) == ERR_OK)
		kept = view_of(texts->ptr + texts->len - text.len, text.len);
	return kept;
}

struct queue_tally *queue_tally_new(const struct queue_filter *filter, int64_t now_ms)
{
	struct queue_tally *tally = mem_alloc(sizeof *tally);
	tally->filter = *filter;
	tally->now_ms = now_ms;
	tally->end_id = INT64_MAX;
	struct view *const texts[] = { &tally->filter.recipient_domain, &tally->filter.sender, &tally->filter.site,
		&tally->filter.stream, &tally->filter.suspended_by };
	size_t bytes = 1;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		bytes += texts[i]->len;
	/* All of them at once: the buffer must not move under the views. */
	enum err err = buf_reserve(&tally->texts, bytes);
	ASSERT(err == ERR_OK);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		*texts[i] = keep(&tally->texts, *texts[i]);
	for (size_t i = 0; i < QUEUE_GROUPINGS; i++)
		tally->groups[i].max = OTHERS_MAX;
	tally->groups[QUEUE_BY_DOMAIN].max = tally->groups[QUEUE_BY_SITE].max = DOMAINS_MAX;
	return tally;
}

void queue_tally_free(struct queue_tally *tally)
{
	if (tally == NULL)
		return;
	if (tally->scanning)
		queue_scan_clear(&tally->scan);
	for (size_t i = 0; i < QUEUE_GROUPINGS; i++)
		counts_clear(&tally->groups[i]);
	buf_clear(&tally->texts);
	mem_free(tally);
}

/* When a message came stands in its id: its row need not be read. */
static int64_t came_at_ms(uint64_t id)
{
	return (int64_t)(id / 4096);
}

static void count_message(struct queue_tally *tally, uint64_t id, uint64_t bytes)
{
	struct queue_summary *sum = &tally->summary;
	sum->messages++;
	sum->bytes += bytes;
	if (sum->oldest_ms == 0)
		sum->oldest_ms = came_at_ms(id);
	tally->last_id = id;
}

static void count_recipient(struct queue_tally *tally, uint64_t id, const struct queue_recipient *r)
{
	struct queue_summary *sum = &tally->summary;
	bool held = r->state == QUEUE_HELD;
	int64_t age_ms = tally->now_ms - came_at_ms(id);
	size_t age = 0;
	while (age < QUEUE_AGES - 1 && age_ms >= queue_summary_age_ms[age])
		age++;
	sum->by_age[age]++;
	sum->recipients++;
	sum->held += held;
	sum->deferred += !held && r->attempts > 0;
	sum->suspended += !held && suspension_is_reply(r->last_reply);
	sum->returning += !held && (r->flags & QUEUE_RETURN) != 0;
	count_in_lower_case(&tally->groups[QUEUE_BY_DOMAIN], queue_scan_domain(r->address));
	if (r->stream.len > 0)
		count_in_lower_case(&tally->groups[QUEUE_BY_STREAM], r->stream);
	uint8_t reply[QUEUE_REPLY_CLASS_MAX_BYTES];
	size_t reply_len = queue_reply_class(r->last_reply, reply);
	if (reply_len > 0)
		count(&tally->groups[QUEUE_BY_REPLY], view_of(reply, reply_len), 1);
}

enum err queue_tally_read(struct queue_tally *tally, struct db *db, size_t rows, bool *ret_more)
{
	ASSERT(rows > 0);
	if (!tally->scanning)
		queue_scan_init(&tally->scan, db, &tally->filter);
	tally->scanning = true;
	tally->scan.db = db;
	tally->sites_are_current = false;
	struct db_statement *s = queue_scan_keys(db, &tally->filter, tally->after_id, INT64_MAX, SIZE_MAX);
	if (s == NULL)
		return ERR_IO;
	size_t looked_at = 0;
	uint64_t current_id = tally->after_id;
	bool row;
	enum err err;
	while ((err = db_step(s, &row)) == ERR_OK && row) {
		uint64_t id, bytes;
		struct queue_recipient r = queue_scan_read_key(s, &id, &bytes);
		if (id != current_id && (looked_at >= rows || id > tally->end_id))
			break;
		current_id = id;
		looked_at++;
		bool matches = false;
		err = queue_scan_matches(&tally->scan, id, &r, &matches);
		if (err != ERR_OK)
			break;
		if (matches && id != tally->last_id)
			count_message(tally, id, bytes);
		if (matches)
			count_recipient(tally, id, &r);
	}
	db_reset(s);
	queue_scan_pause(&tally->scan);
	if (err != ERR_OK)
		return err;
	tally->after_id = current_id;
	tally->summary.complete = !row || looked_at < rows; /* it stopped at end_id, not for the bite's size */
	*ret_more = !tally->summary.complete;
	return ERR_OK;
}

void queue_tally_set_range(struct queue_tally *tally, uint64_t after_id, uint64_t end_id)
{
	tally->after_id = after_id;
	tally->end_id = end_id;
}

uint64_t queue_tally_after(const struct queue_tally *tally)
{
	return tally->after_id;
}

bool queue_tally_give_half(struct queue_tally *tally, uint64_t *ret_after_id, uint64_t *ret_end_id)
{
	if (tally->end_id - tally->after_id < 2)
		return false;
	uint64_t middle = tally->after_id + (tally->end_id - tally->after_id) / 2;
	*ret_after_id = middle;
	*ret_end_id = tally->end_id;
	tally->end_id = middle;
	return true;
}

struct queue_tally *queue_tally_new_like(const struct queue_tally *tally)
{
	return queue_tally_new(&tally->filter, tally->now_ms);
}

bool queue_tally_is_of_one_message(const struct queue_tally *tally)
{
	return tally->filter.message_id != 0;
}

static void add_counts(struct counts *into, const struct counts *from)
{
	for (size_t i = 0; i < from->cap; i++) {
		const struct entry *e = &from->entries[i];
		if (e->count > 0)
			count(into, name_of(e), e->count);
	}
	into->forgot = into->forgot || from->forgot;
}

void queue_tally_add(struct queue_tally *tally, const struct queue_tally *part)
{
	struct queue_summary *sum = &tally->summary;
	const struct queue_summary *more = &part->summary;
	sum->messages += more->messages;
	sum->recipients += more->recipients;
	sum->bytes += more->bytes;
	sum->deferred += more->deferred;
	sum->held += more->held;
	sum->suspended += more->suspended;
	sum->returning += more->returning;
	if (more->oldest_ms != 0 && (sum->oldest_ms == 0 || more->oldest_ms < sum->oldest_ms))
		sum->oldest_ms = more->oldest_ms;
	for (size_t i = 0; i < QUEUE_AGES; i++)
		sum->by_age[i] += more->by_age[i];
	for (size_t i = 0; i < QUEUE_GROUPINGS; i++)
		if (i != QUEUE_BY_SITE)
			add_counts(&tally->groups[i], &part->groups[i]);
	tally->sites_are_current = false;
}

void queue_tally_set_complete(struct queue_tally *tally)
{
	tally->summary.complete = true;
}

const struct queue_summary *queue_tally_summary(const struct queue_tally *tally)
{
	return &tally->summary;
}

/* Those that are known: of what was forgotten the sites are too small to matter, too, unless they have very many domains. */
static enum err count_sites(struct queue_tally *tally, struct db *db)
{
	struct counts *sites = &tally->groups[QUEUE_BY_SITE], *domains = &tally->groups[QUEUE_BY_DOMAIN];
	struct buf site = { 0 };
	enum err err = ERR_OK;
	counts_clear(sites);
	for (size_t i = 0; i < domains->cap && err == ERR_OK; i++) {
		const struct entry *e = &domains->entries[i];
		if (e->count == 0)
			continue;
		struct view domain = name_of(e);
		buf_reset(&site);
		err = queue_store_find_site(db, tally->filter.sites, domain, &site);
		count(sites, buf_view(&site), e->count);
	}
	buf_clear(&site);
	sites->forgot = domains->forgot;
	tally->sites_are_current = err == ERR_OK;
	return err;
}

static bool is_before(const struct queue_group *a, const struct queue_group *b)
{
	return a->recipients != b->recipients ? a->recipients > b->recipients : view_compare(a->name, b->name) < 0;
}

enum err queue_tally_top(struct queue_tally *tally, struct db *db, enum queue_grouping grouping, size_t room,
	struct queue_group *ret_groups, size_t *ret_count, bool *ret_exact)
{
	if (grouping == QUEUE_BY_SITE && !tally->sites_are_current) {
		enum err err = count_sites(tally, db);
		if (err != ERR_OK)
			return err;
	}
	const struct counts *counts = &tally->groups[grouping];
	size_t n = 0;
	for (size_t i = 0; i < counts->cap && room > 0; i++) {
		const struct entry *e = &counts->entries[i];
		struct queue_group group = { name_of(e), e->count };
		if (e->count == 0 || (n == room && !is_before(&group, &ret_groups[n - 1])))
			continue;
		size_t at = n < room ? n++ : n - 1;
		for (; at > 0 && is_before(&group, &ret_groups[at - 1]); at--)
			ret_groups[at] = ret_groups[at - 1];
		ret_groups[at] = group;
	}
	*ret_count = n;
	*ret_exact = !counts->forgot;
	return ERR_OK;
}
