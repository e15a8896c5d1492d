#include "mailauth/pack.h"

#include <archive.h>
#include <archive_entry.h>

#define PIECE_BYTES 65536u
#define NESTING_MAX 2

/* Bytes go where the library is told to put them. */
static la_ssize_t take_packed(struct archive *archive, void *owner, const void *bytes, size_t len)
{
	(void)archive;
	return buf_append(owner, view_of(bytes, len)) == ERR_OK ? (la_ssize_t)len : ARCHIVE_FATAL;
}

enum err pack_gzip(struct view in, struct buf *out)
{
	size_t before = out->len;
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	bool ok = archive != NULL && entry != NULL && archive_write_add_filter_gzip(archive) == ARCHIVE_OK &&
		archive_write_set_format_raw(archive) == ARCHIVE_OK &&
		archive_write_set_filter_option(archive, "gzip", "timestamp", NULL) == ARCHIVE_OK &&
		archive_write_set_bytes_per_block(archive, 0) == ARCHIVE_OK &&
		archive_write_open(archive, out, NULL, take_packed, NULL) == ARCHIVE_OK;
	if (ok) {
		archive_entry_set_filetype(entry, 0100000); /* AE_IFREG */
		ok = archive_write_header(archive, entry) == ARCHIVE_OK &&
			archive_write_data(archive, in.ptr, in.len) == (la_ssize_t)in.len &&
			archive_write_close(archive) == ARCHIVE_OK;
	}
	archive_entry_free(entry);
	if (archive != NULL)
		(void)archive_write_free(archive);
	if (ok)
		return ERR_OK;
	out->len = before;
	return err_set(ERR_LIMIT, "the packed report would be too large");
}

static bool is_gzip(struct view in)
{
	return view_starts_with(in, VIEW("\x1f\x8b"));
}

static bool is_zip(struct view in)
{
	return view_starts_with(in, VIEW("PK\x03\x04"));
}

static enum err read_data(struct archive *archive, struct buf *out)
{
	for (;;) {
		if (buf_reserve(out, PIECE_BYTES) != ERR_OK) {
			/* Exactly as much as there is room for is fine. */
			size_t most = out->max_bytes != 0 ? out->max_bytes : BUF_DEFAULT_MAX_BYTES;
			if (out->len >= most || buf_reserve(out, most - out->len) != ERR_OK) {
				uint8_t one;
				return archive_read_data(archive, &one, 1) == 0
					? ERR_OK
					: err_set(ERR_LIMIT, "unpacked it is too large");
			}
		}
		size_t room = out->cap - out->len;
		la_ssize_t n = archive_read_data(archive, out->ptr + out->len, room < PIECE_BYTES ? room : PIECE_BYTES);
		if (n == 0)
			return ERR_OK;
		if (n < 0)
			return err_set(ERR_SYNTAX, "the packed file is damaged");
		out->len += (size_t)n;
	}
}

static struct archive *open_memory(struct view in)
{
	struct archive *archive = archive_read_new();
	if (archive == NULL)
		return NULL;
	bool ok = is_zip(in) ? archive_read_support_format_zip(archive) == ARCHIVE_OK
			     : archive_read_support_filter_gzip(archive) == ARCHIVE_OK &&
			archive_read_support_format_raw(archive) == ARCHIVE_OK;
	if (ok && archive_read_open_memory(archive, in.ptr, in.len) == ARCHIVE_OK)
		return archive;
	(void)archive_read_free(archive);
	return NULL;
}

/* Walks to the first file whose name ends so; with an empty suffix to the first of any name. NULL: there is none. */
static struct archive *open_at(struct view in, struct view suffix)
{
	struct archive *archive = open_memory(in);
	for (unsigned i = 0; archive != NULL && i < PACK_ENTRIES_MAX; i++) {
		struct archive_entry *entry;
		int status = archive_read_next_header(archive, &entry);
		if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
			break;
		/* What only begins like a gzip file would be handed out as it is. */
		if (is_gzip(in) && archive_filter_code(archive, 0) != ARCHIVE_FILTER_GZIP)
			break;
		bool is_folder = archive_entry_filetype(entry) == 0040000; /* AE_IFDIR */
		if (!is_folder &&
			(suffix.len == 0 || is_gzip(in) ||
				view_ends_with_nocase(view_from_cstr(archive_entry_pathname(entry)), suffix)))
			return archive;
	}
	if (archive != NULL)
		(void)archive_read_free(archive);
	return NULL;
}

static enum err open_once(struct view in, struct view suffix, struct buf *out)
{
	struct archive *archive = open_at(in, suffix);
	if (archive == NULL)
		archive = open_at(in, VIEW_NONE);
	if (archive == NULL)
		return err_set(ERR_SYNTAX, "the packed file is damaged or empty");
	enum err err = read_data(archive, out);
	(void)archive_read_free(archive);
	return err;
}

enum err pack_open(struct view in, struct view suffix, struct buf *out)
{
	size_t before = out->len;
	struct buf layers[NESTING_MAX] = { { .max_bytes = out->max_bytes }, { .max_bytes = out->max_bytes } };
	enum err err = ERR_OK;
	for (unsigned i = 0; i < NESTING_MAX && err == ERR_OK && (is_gzip(in) || is_zip(in)); i++) {
		err = open_once(in, suffix, &layers[i]);
		in = buf_view(&layers[i]);
	}
	if (err == ERR_OK && buf_append(out, in) != ERR_OK)
		err = err_set(ERR_LIMIT, "unpacked it is too large");
	if (err != ERR_OK)
		out->len = before;
	for (unsigned i = 0; i < NESTING_MAX; i++)
		buf_clear(&layers[i]);
	return err;
}
