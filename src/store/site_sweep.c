#include "store/site_sweep.h"

#include "base/mem.h"
#include "store/queue_store_private.h"
#include "store/site_map.h"

struct site_sweep {
	int64_t day;
	struct site_map *domains; /* marked: in use */
	struct buf last_domain; /* read so far */
	bool domains_are_read;
	uint64_t last_id;
	int64_t last_index;
	size_t at, next_at; /* removed up to here; what is being removed ends there */
	uint64_t removed, removing;
	bool is_done;
};

/* By key alone, from where the last bite ended. */
const char site_sweep_select[] = "SELECT message_id, idx, address FROM recipient WHERE (message_id, idx) > ($1, $2) "
				 "ORDER BY message_id, idx LIMIT $3";

struct site_sweep *site_sweep_new(int64_t now_ms)
{
	struct site_sweep *sweep = mem_alloc(sizeof *sweep);
	sweep->day = queue_store_site_day(now_ms);
	sweep->domains = site_map_new();
	sweep->last_index = -1;
	return sweep;
}

void site_sweep_free(struct site_sweep *sweep)
{
	if (sweep == NULL)
		return;
	site_map_free(sweep->domains);
	buf_clear(&sweep->last_domain);
	mem_free(sweep);
}

static enum err read_domains(struct site_sweep *sweep, struct db *db, size_t rows)
{
	struct db_statement *s = db_prepare(
		db, "SELECT domain, noted_day FROM domain_site WHERE domain > $1 ORDER BY domain LIMIT $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, buf_view(&sweep->last_domain));
	db_bind_int(s, 2, (int64_t)rows);
	size_t count = 0;
	bool row;
	enum err err;
	struct buf last = { 0 };
	while ((err = db_step(s, &row)) == ERR_OK && row) {
		struct view domain = db_column_view(s, 0);
		if (db_column_int(s, 1) < sweep->day)
			site_map_add(sweep->domains, domain, VIEW_NONE);
		count++;
		buf_reset(&last);
		err = buf_append(&last, domain);
		if (err != ERR_OK)
			break;
	}
	db_reset(s);
	if (err == ERR_OK) {
		sweep->domains_are_read = count < rows || site_map_count(sweep->domains) >= SITE_SWEEP_DOMAINS;
		buf_clear(&sweep->last_domain);
		sweep->last_domain = last;
	} else {
		buf_clear(&last);
	}
	return err;
}

static enum err read_recipients(struct site_sweep *sweep, struct db *db, size_t rows, bool *ret_more)
{
	struct db_statement *s = db_prepare(db, site_sweep_select);
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, (int64_t)sweep->last_id);
	db_bind_int(s, 2, sweep->last_index);
	db_bind_int(s, 3, (int64_t)rows);
	size_t count = 0;
	bool row;
	enum err err;
	while ((err = db_step(s, &row)) == ERR_OK && row) {
		sweep->last_id = (uint64_t)db_column_int(s, 0);
		sweep->last_index = db_column_int(s, 1);
		site_map_mark(sweep->domains, queue_scan_domain(db_column_view(s, 2)));
		count++;
	}
	db_reset(s);
	if (err == ERR_OK)
		*ret_more = count == rows;
	return err;
}

enum err site_sweep_read(struct site_sweep *sweep, struct db *db, size_t rows, bool *ret_more)
{
	if (sweep->domains_are_read && site_map_count(sweep->domains) > 0)
		return read_recipients(sweep, db, rows, ret_more);
	enum err err = sweep->domains_are_read ? ERR_OK : read_domains(sweep, db, rows);
	if (err == ERR_OK)
		*ret_more = !sweep->domains_are_read || site_map_count(sweep->domains) > 0;
	return err;
}

static enum err remove_one(const struct site_sweep *sweep, struct db *db, struct view domain, uint64_t *removed)
{
	struct db_statement *s = db_prepare(db, "DELETE FROM domain_site WHERE domain = $1 AND noted_day < $2");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	db_bind_int(s, 2, sweep->day);
	uint64_t changed = 0;
	enum err err = db_run(s, &changed);
	if (err == ERR_OK)
		*removed += changed;
	return err;
}

enum err site_sweep_remove(struct site_sweep *sweep, struct db *db, size_t rows)
{
	enum err err = ERR_OK;
	struct view domain;
	sweep->next_at = sweep->at;
	sweep->removing = 0;
	sweep->is_done = false;
	for (size_t i = 0; i < rows && err == ERR_OK && !sweep->is_done; i++) {
		sweep->is_done = !site_map_next_unmarked(sweep->domains, &sweep->next_at, &domain);
		if (!sweep->is_done)
			err = remove_one(sweep, db, domain, &sweep->removing);
	}
	return err;
}

bool site_sweep_removed(struct site_sweep *sweep)
{
	sweep->at = sweep->next_at;
	sweep->removed += sweep->removing;
	sweep->removing = 0;
	return !sweep->is_done;
}

uint64_t site_sweep_count(const struct site_sweep *sweep)
{
	return sweep->removed;
}
