#include "mailauth/report_file.h"

#include "mail/header.h"
#include "mail/mime.h"
#include "mailauth/pack.h"

#include <stdio.h>

struct search {
	struct buf *out;
	enum report_file_kind kind;
	unsigned parts, tries;
	bool found;
	enum err err; /* of the first part that was to be one, and its sentence */
	char why[200];
};

static bool tell_kind(struct view text, enum report_file_kind *ret_kind)
{
	if (view_starts_with(text, VIEW("\xef\xbb\xbf")))
		text = view_from(text, 3);
	text = view_trim(view_sub(text, 0, 1024));
	if (text.len == 0 || (text.ptr[0] != '<' && text.ptr[0] != '{'))
		return false;
	*ret_kind = text.ptr[0] == '<' ? REPORT_FILE_DMARC : REPORT_FILE_TLS;
	return true;
}

enum err report_file_open(struct view file, struct buf *out, enum report_file_kind *ret_kind)
{
	buf_reset(out);
	/* A zip file has one report; other files beside it are not named like one. */
	enum err err = pack_open(file, VIEW("xml"), out);
	if (err != ERR_OK)
		return err;
	return tell_kind(buf_view(out), ret_kind) ? ERR_OK : err_set(ERR_NOT_FOUND, "it is neither XML nor JSON");
}

/* A media type or a name that reports have. */
static bool may_be_report(const struct mime_part *part)
{
	static const struct {
		const char *type, *subtype;
	} types[] = {
		{ "application", "gzip" },
		{ "application", "x-gzip" },
		{ "application", "gzip-compressed" },
		{ "application", "zip" },
		{ "application", "x-zip" },
		{ "application", "x-zip-compressed" },
		{ "application", "octet-stream" },
		{ "application", "xml" },
		{ "text", "xml" },
		{ "application", "json" },
		{ "application", "tlsrpt+gzip" },
		{ "application", "tlsrpt+json" },
	};
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (mime_type_is(&part->type, types[i].type, types[i].subtype))
			return true;
	/* Any other type counts if the file is named like one. */
	static const char *const endings[] = { ".xml", ".gz", ".zip", ".json" };
	struct header_field field;
	struct mime_type disposition = { 0 };
	struct buf name = { 0 };
	bool is_named = false;
	if (header_find(part->header, VIEW("Content-Disposition"), &field))
		disposition.parameters = view_from(field.value, view_find(field.value, ';'));
	if (mime_parameter(&disposition, VIEW("filename"), &name) != ERR_OK || name.len == 0)
		if (mime_parameter(&part->type, VIEW("name"), &name) != ERR_OK)
			buf_reset(&name);
	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
		is_named |= view_ends_with_nocase(view_trim(buf_view(&name)), view_from_cstr(endings[i]));
	buf_clear(&name);
	return is_named;
}

static void try_part(const struct mime_part *part, struct search *search)
{
	struct buf packed;
	buf_init(&packed, REPORT_FILE_PACKED_MAX_BYTES);
	enum err err = mime_part_decode(part, &packed);
	if (err != ERR_OK)
		err = err_set(err, "the report's file is larger than %d bytes", REPORT_FILE_PACKED_MAX_BYTES);
	else
		err = report_file_open(buf_view(&packed), search->out, &search->kind);
	buf_clear(&packed);
	search->found = err == ERR_OK;
	if (search->err != ERR_OK || err == ERR_OK || err == ERR_NOT_FOUND)
		return;
	search->err = err;
	snprintf(search->why, sizeof search->why, "%s", err_detail());
}

static void search_part(struct view entity, bool in_digest, unsigned depth, struct search *search)
{
	struct mime_part part;
	struct mime_walker walker;
	struct view child;
	if (depth > MIME_DEPTH_MAX || ++search->parts > REPORT_FILE_PARTS_MAX)
		return;
	mime_part_parse(entity, in_digest, &part);
	if (mime_walker_init(&walker, &part)) {
		bool digest = view_eq_nocase(part.type.subtype, VIEW("digest"));
		while (!search->found && mime_walker_next(&walker, &child))
			search_part(child, digest, depth + 1, search);
	} else if (may_be_report(&part) && ++search->tries <= REPORT_FILE_TRIES_MAX) {
		try_part(&part, search);
	}
}

enum err report_file_find(struct view message, struct buf *out, enum report_file_kind *ret_kind)
{
	struct search search = { .out = out };
	search_part(message, false, 0, &search);
	if (search.found) {
		*ret_kind = search.kind;
		return ERR_OK;
	}
	buf_reset(out);
	return search.err != ERR_OK ? err_set(search.err, "%s", search.why)
				    : err_set(ERR_NOT_FOUND, "the message brings no report");
}
