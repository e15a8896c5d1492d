/* Which domains belong to a site: noted when mail to them is deferred, asked for when an operator names the site. */
#include "store/queue_store_private.h"

#include "store/site_map.h"

static enum err lower(struct view text, struct buf *out)
{
	size_t before = out->len;
	enum err err = buf_append(out, text);
	for (size_t i = before; err == ERR_OK && i < out->len; i++)
		out->ptr[i] = ascii_lower(out->ptr[i]);
	return err;
}

int64_t queue_store_site_day(int64_t now_ms)
{
	return now_ms / 86400000;
}

static enum err read_site(struct db *db, struct view low_domain, struct buf *out, int64_t *ret_noted_day)
{
	struct db_statement *s = db_prepare(db, "SELECT site, noted_day FROM domain_site WHERE domain = $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, low_domain);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK || !row)
		return err;
	err = buf_append(out, db_column_view(s, 0));
	*ret_noted_day = db_column_int(s, 1);
	db_reset(s);
	return err;
}

static enum err site_of(struct db *db, struct view domain, struct buf *out)
{
	struct buf low = { 0 };
	int64_t noted_day;
	enum err err = lower(domain, &low);
	if (err == ERR_OK)
		err = read_site(db, buf_view(&low), out, &noted_day);
	buf_clear(&low);
	return err;
}

enum err queue_store_find_site(struct db *db, const struct site_map *known, struct view domain, struct buf *out)
{
	struct view site;
	size_t before = out->len;
	if (site_map_find(known, domain, &site))
		return buf_append(out, site);
	enum err err = site_of(db, domain, out);
	return err == ERR_OK && out->len == before ? buf_append(out, domain) : err;
}

static enum err write_site(struct db *db, struct view domain, struct view site, int64_t day)
{
	struct db_statement *s = db_prepare(db,
		"INSERT INTO domain_site (domain, site, noted_day) VALUES ($1, $2, $3) ON CONFLICT (domain) "
		"DO UPDATE SET site = excluded.site, noted_day = excluded.noted_day");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	db_bind_text(s, 2, site);
	db_bind_int(s, 3, day);
	return db_run(s, NULL);
}

enum err queue_store_note_site(struct db *db, struct view domain, struct view site, int64_t now_ms)
{
	int64_t day = queue_store_site_day(now_ms), noted_day = -1;
	struct buf low_domain = { 0 }, low_site = { 0 }, noted = { 0 };
	enum err err = lower(domain, &low_domain);
	if (err == ERR_OK)
		err = lower(site, &low_site);
	if (err == ERR_OK)
		err = read_site(db, buf_view(&low_domain), &noted, &noted_day);
	/* Once a day at least: so a row that no deferral has noted for long may be one that nothing waits for (store/site_sweep.h). */
	if (err == ERR_OK && (noted_day < day || !view_eq(buf_view(&noted), buf_view(&low_site))))
		err = write_site(db, buf_view(&low_domain), buf_view(&low_site), day);
	buf_clear(&low_domain);
	buf_clear(&low_site);
	buf_clear(&noted);
	return err;
}
