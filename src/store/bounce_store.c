#include "store/bounce_store.h"

#include "base/buf.h"

#define TEXT_MAX_BYTES 500u
#define ADDRESS_MAX_BYTES 1000u

/* Without case: hardly any server tells them apart, and a list that does holds each address twice. */
static enum err make_key(struct view address, struct buf *out)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < address.len && i < ADDRESS_MAX_BYTES && err == ERR_OK; i++)
		err = buf_append_byte(out, ascii_lower(address.ptr[i]));
	return err;
}

/* TEXT columns hold UTF-8, and and no NUL; a cut may have gone through a letter. */
static struct view make_text(struct view text)
{
	bool is_cut = text.len > TEXT_MAX_BYTES;
	text = view_sub(text, 0, TEXT_MAX_BYTES);
	text = view_sub(text, 0, view_find(text, '\0'));
	for (unsigned i = 0; is_cut && i < 3 && !view_is_utf8(text); i++)
		text.len--;
	return view_is_utf8(text) ? text : VIEW("(not in UTF-8)");
}

enum err bounce_store_note(
	struct db *db, enum bounce_kind kind, struct view address, struct view class, struct view text, int64_t now_ms)
{
	struct db_statement *s = db_prepare(db,
		"INSERT INTO bounce (address_key, address, hard, soft, complaints, last_class, last_text, last_ms) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (address_key) DO UPDATE SET hard = bounce.hard + "
		"$3, "
		"soft = bounce.soft + $4, complaints = bounce.complaints + $5, last_class = $6, last_text = $7, "
		"last_ms = "
		"$8");
	struct buf key = { 0 };
	if (s == NULL)
		return ERR_IO;
	enum err err = make_key(address, &key);
	if (err == ERR_OK) {
		db_bind_text(s, 1, buf_view(&key));
		db_bind_text(s, 2, view_sub(address, 0, ADDRESS_MAX_BYTES));
		db_bind_int(s, 3, kind == BOUNCE_HARD);
		db_bind_int(s, 4, kind == BOUNCE_SOFT);
		db_bind_int(s, 5, kind == BOUNCE_COMPLAINT);
		db_bind_text(s, 6, make_text(class));
		db_bind_text(s, 7, make_text(text));
		db_bind_int(s, 8, now_ms);
		err = db_run(s, NULL);
	}
	buf_clear(&key);
	return err;
}

static struct bounce_record read_record(struct db_statement *s)
{
	return (struct bounce_record){
		.address = db_column_view(s, 0),
		.hard = (uint64_t)db_column_int(s, 1),
		.soft = (uint64_t)db_column_int(s, 2),
		.complaints = (uint64_t)db_column_int(s, 3),
		.last_class = db_column_view(s, 4),
		.last_text = db_column_view(s, 5),
		.last_ms = db_column_int(s, 6),
	};
}

#define COLUMNS "SELECT address, hard, soft, complaints, last_class, last_text, last_ms FROM bounce "

enum err bounce_store_find(
	struct db *db, struct view address, void (*found)(void *owner, const struct bounce_record *record), void *owner)
{
	struct db_statement *s = db_prepare(db, COLUMNS "WHERE address_key = $1");
	struct buf key = { 0 };
	if (s == NULL)
		return ERR_IO;
	bool row = false;
	enum err err = make_key(address, &key);
	if (err == ERR_OK) {
		db_bind_text(s, 1, buf_view(&key));
		err = db_step(s, &row);
	}
	if (err == ERR_OK && row) {
		struct bounce_record record = read_record(s);
		found(owner, &record);
		db_reset(s);
	}
	buf_clear(&key);
	return err == ERR_OK && !row ? ERR_NOT_FOUND : err;
}

enum err bounce_store_list(struct db *db, bool only_hard, struct view after, size_t limit,
	void (*found)(void *owner, const struct bounce_record *record), void *owner)
{
	struct db_statement *s = db_prepare(
		db, COLUMNS "WHERE address_key > $1 AND hard >= $2 ORDER BY address_key LIMIT $3");
	struct buf key = { 0 };
	if (s == NULL)
		return ERR_IO;
	enum err err = make_key(after, &key);
	if (err != ERR_OK) {
		buf_clear(&key);
		return err;
	}
	db_bind_text(s, 1, buf_view(&key));
	db_bind_int(s, 2, only_hard);
	db_bind_int(s, 3, (int64_t)limit);
	bool row;
	while ((err = db_step(s, &row)) == ERR_OK && row) {
		struct bounce_record record = read_record(s);
		found(owner, &record);
	}
	buf_clear(&key);
	return err;
}

enum err bounce_store_forget(struct db *db, struct view address, uint64_t *ret_removed)
{
	struct db_statement *s = db_prepare(db, "DELETE FROM bounce WHERE address_key = $1");
	struct buf key = { 0 };
	if (s == NULL)
		return ERR_IO;
	enum err err = make_key(address, &key);
	if (err == ERR_OK) {
		db_bind_text(s, 1, buf_view(&key));
		err = db_run(s, ret_removed);
	}
	buf_clear(&key);
	return err;
}

enum err bounce_store_expire(struct db *db, int64_t before_ms, uint64_t *ret_removed)
{
	struct db_statement *s = db_prepare(db, "DELETE FROM bounce WHERE last_ms < $1");
	if (s == NULL)
		return ERR_IO;
	db_bind_int(s, 1, before_ms);
	return db_run(s, ret_removed);
}
