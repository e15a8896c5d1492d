/* Which domains belong to a site: noted when mail to them is deferred, asked for when an operator names the site. */
#include "store/queue_store_private.h"

static enum err lower(struct view text, struct buf *out)
{
	size_t before = out->len;
	enum err err = buf_append(out, text);
	for (size_t i = before; err == ERR_OK && i < out->len; i++)
		out->ptr[i] = ascii_lower(out->ptr[i]);
	return err;
}

static enum err read_site(struct db *db, struct view low_domain, struct buf *out)
{
	struct db_statement *s = db_prepare(db, "SELECT site FROM domain_site WHERE domain = $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, low_domain);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK || !row)
		return err;
	err = buf_append(out, db_column_view(s, 0));
	db_reset(s);
	return err;
}

enum err queue_store_site_of(struct db *db, struct view domain, struct buf *out)
{
	struct buf low = { 0 };
	enum err err = lower(domain, &low);
	if (err == ERR_OK)
		err = read_site(db, buf_view(&low), out);
	buf_clear(&low);
	return err;
}

static enum err write_site(struct db *db, struct view domain, struct view site)
{
	struct db_statement *s = db_prepare(db,
		"INSERT INTO domain_site (domain, site) VALUES ($1, $2) ON CONFLICT (domain) "
		"DO UPDATE SET site = excluded.site");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	db_bind_text(s, 2, site);
	return db_run(s, NULL);
}

enum err queue_store_note_site(struct db *db, struct view domain, struct view site)
{
	struct buf low_domain = { 0 }, low_site = { 0 }, noted = { 0 };
	enum err err = lower(domain, &low_domain);
	if (err == ERR_OK)
		err = lower(site, &low_site);
	if (err == ERR_OK)
		err = read_site(db, buf_view(&low_domain), &noted);
	if (err == ERR_OK && !view_eq(buf_view(&noted), buf_view(&low_site)))
		err = write_site(db, buf_view(&low_domain), buf_view(&low_site));
	buf_clear(&low_domain);
	buf_clear(&low_site);
	buf_clear(&noted);
	return err;
}
