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

static enum err is_noted(struct db *db, struct view domain, struct view site, bool *ret)
{
	struct db_statement *s = db_prepare(db, "SELECT site = $2 FROM domain_site WHERE domain = $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_text(s, 1, domain);
	db_bind_text(s, 2, site);
	bool row;
	enum err err = db_step(s, &row);
	if (err != ERR_OK)
		return err;
	*ret = row && db_column_int(s, 0) != 0;
	db_reset(s);
	return ERR_OK;
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
	struct buf texts = { 0 };
	enum err err = lower(domain, &texts);
	if (err == ERR_OK)
		err = lower(site, &texts);
	bool noted = false;
	struct view low_domain = view_sub(buf_view(&texts), 0, domain.len),
		    low_site = view_from(buf_view(&texts), domain.len);
	if (err == ERR_OK)
		err = is_noted(db, low_domain, low_site, &noted);
	if (err == ERR_OK && !noted)
		err = write_site(db, low_domain, low_site);
	buf_clear(&texts);
	return err;
}
