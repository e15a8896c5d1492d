/*
 * Looking through the queue with a filter. Rows are filtered here, not in SQL: domains and nocase comparisons then mean the same on every engine, and
 * the message path keeps no column for it. The envelope is fetched apart, and only where it is needed, because message rows lie far from
 * each other. What site a domain belongs to is asked once per domain, as far as memory is given for it.
 */
#include "store/queue_store_private.h"

#include "base/mem.h"
#include "store/suspension_store.h"

#include <string.h>

#define SITE_SLOTS 65536u
#define SITE_DOMAIN_MAX_BYTES 255u

struct queue_scan_site {
	uint8_t *domain; /* heap */
	uint8_t len;
	bool matches;
};

void queue_scan_init(struct queue_scan *scan, struct db *db, const struct queue_filter *filter)
{
	*scan = (struct queue_scan){ .db = db, .filter = filter };
}

void queue_scan_pause(struct queue_scan *scan)
{
	if (scan->envelope != NULL)
		db_reset(scan->envelope);
	scan->envelope = NULL;
}

void queue_scan_clear(struct queue_scan *scan)
{
	queue_scan_pause(scan);
	for (size_t i = 0; scan->sites != NULL && i < SITE_SLOTS; i++)
		mem_free(scan->sites[i].domain);
	mem_free(scan->sites);
	*scan = (struct queue_scan){ 0 };
}

enum err queue_scan_envelope(struct queue_scan *scan, uint64_t id)
{
	if (scan->envelope != NULL && scan->message.id == id)
		return ERR_OK;
	queue_scan_pause(scan);
	scan->envelope = db_prepare(scan->db, "SELECT " QUEUE_STORE_ENVELOPE_COLUMNS " FROM message m WHERE m.id = $1");
	if (scan->envelope == NULL)
		return ERR_IO;
	db_bind_int(scan->envelope, 1, (int64_t)id);
	bool row;
	enum err err = db_step(scan->envelope, &row);
	if (err == ERR_OK && !row)
		err = err_set(ERR_IO, "a recipient in the queue has no message");
	if (err != ERR_OK)
		scan->envelope = NULL;
	else
		scan->message = queue_store_read_envelope(scan->envelope, id, 0);
	return err;
}

struct view queue_scan_domain(struct view address)
{
	return view_from(address, view_find_last(address, '@') + 1);
}

static struct queue_scan_site *site_slot(struct queue_scan *scan, struct view domain)
{
	if (scan->sites == NULL)
		scan->sites = mem_alloc_array(SITE_SLOTS, sizeof *scan->sites);
	return &scan->sites[view_hash_nocase(domain) % SITE_SLOTS];
}

static enum err domain_is_of_site(struct queue_scan *scan, struct view domain, bool *ret)
{
	struct queue_scan_site *slot = site_slot(scan, domain);
	if (slot->domain != NULL && view_eq_nocase(view_of(slot->domain, slot->len), domain)) {
		*ret = slot->matches;
		return ERR_OK;
	}
	struct buf site = { 0 };
	enum err err = queue_store_find_site(scan->db, scan->filter->sites, domain, &site);
	bool matches = view_eq_nocase(buf_view(&site), scan->filter->site);
	buf_clear(&site);
	if (err != ERR_OK)
		return err;
	if (domain.len > 0 && domain.len <= SITE_DOMAIN_MAX_BYTES) {
		slot->domain = mem_resize(slot->domain, domain.len);
		memcpy(slot->domain, domain.ptr, domain.len);
		slot->len = (uint8_t)domain.len;
		slot->matches = matches;
	}
	*ret = matches;
	return ERR_OK;
}

static bool simple_parts_match(const struct queue_filter *f, const struct queue_recipient *r)
{
	if (f->only_held && r->state != QUEUE_HELD)
		return false;
	if (f->only_deferred && (r->state != QUEUE_READY || r->attempts == 0))
		return false;
	if (f->only_suspended && !suspension_is_reply(r->last_reply))
		return false;
	if (f->suspended_by.len > 0 && !suspension_reply_names(r->last_reply, f->suspended_by))
		return false;
	if (f->stream.len > 0 && !view_eq_nocase(r->stream, f->stream))
		return false;
	return f->recipient_domain.len == 0 || view_eq_nocase(queue_scan_domain(r->address), f->recipient_domain);
}

enum err queue_scan_matches(struct queue_scan *scan, uint64_t id, const struct queue_recipient *r, bool *ret)
{
	const struct queue_filter *f = scan->filter;
	bool matches = simple_parts_match(f, r);
	enum err err = ERR_OK;
	if (matches && f->site.len > 0 && r->smarthost.len > 0)
		matches = false;
	if (matches && f->site.len > 0)
		err = domain_is_of_site(scan, queue_scan_domain(r->address), &matches);
	if (err == ERR_OK && matches && f->sender.len > 0) {
		err = queue_scan_envelope(scan, id);
		/* "<>" is how people write the null path; the empty filter is taken. */
		struct view sender = view_eq(f->sender, VIEW("<>")) ? VIEW_NONE : f->sender;
		if (err == ERR_OK)
			matches = view_eq_nocase(scan->message.reverse_path, sender);
	}
	if (err == ERR_OK)
		*ret = matches;
	return err;
}

/* What a filter looks at, and what is counted: few columns, for each costs on each of many rows. */
struct db_statement *queue_scan_keys(
	struct db *db, const struct queue_filter *filter, uint64_t after_id, int64_t after_index, size_t limit)
{
	struct db_statement *s = db_prepare(db,
		"SELECT message_id, idx, state, attempts, address, stream, last_reply, message_bytes, flags, smarthost "
		"FROM "
		"recipient "
		"WHERE (message_id, idx) > ($1, $2) AND message_id <= $3 ORDER BY message_id, idx LIMIT $4");
	if (s != NULL)
		queue_scan_bind(s, filter, after_id, after_index, limit);
	return s;
}

void queue_scan_bind(
	struct db_statement *s, const struct queue_filter *filter, uint64_t after_id, int64_t after_index, size_t limit)
{
	uint64_t last_id = filter->message_id > 0 ? filter->message_id : INT64_MAX;
	if (filter->message_id > 0 && after_id < filter->message_id) {
		after_id = filter->message_id;
		after_index = -1;
	}
	db_bind_int(s, 1, after_id <= INT64_MAX ? (int64_t)after_id : INT64_MAX);
	db_bind_int(s, 2, after_index);
	db_bind_int(s, 3, last_id <= INT64_MAX ? (int64_t)last_id : 0);
	db_bind_int(s, 4, limit <= INT64_MAX ? (int64_t)limit : INT64_MAX);
}

struct queue_recipient queue_scan_read_key(struct db_statement *s, uint64_t *ret_id, uint64_t *ret_bytes)
{
	*ret_id = (uint64_t)db_column_int(s, 0);
	*ret_bytes = (uint64_t)db_column_int(s, 7);
	return (struct queue_recipient){
		.index = (uint32_t)db_column_int(s, 1),
		.state = db_column_int(s, 2) == QUEUE_HELD ? QUEUE_HELD : QUEUE_READY,
		.attempts = (uint32_t)db_column_int(s, 3),
		.address = db_column_view(s, 4),
		.stream = db_column_view(s, 5),
		.last_reply = db_column_view(s, 6),
		.flags = (unsigned)db_column_int(s, 8),
		.smarthost = db_column_view(s, 9),
	};
}
