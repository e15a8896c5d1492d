/* Reading aggregate reports with expat: a table says which elements count, where, and what they are; all others are passed over. */
#include "mailauth/dmarc_report.h"

#include "base/mem.h"
#include "mail/encode.h"

#include <expat.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define PIECE_BYTES (64u * 1024)

enum element {
	NOTHING, /* unknown, and what is in it */
	DOCUMENT,
	FEEDBACK,
	METADATA,
	DATE_RANGE,
	POLICY,
	RECORD,
	ROW,
	EVALUATED,
	REASON,
	IDENTIFIERS,
	AUTH_RESULTS,
	DKIM,
	SPF,
	LEAF
};

enum kind {
	GROUP, /* elements inside */
	TEXT,
	WORD, /* lower case */
	NUMBER, /* int64_t */
	COUNT, /* uint64_t */
	PASS, /* bool */
	ADDRESS /* an IP */
};

#define OF_REPORT(member) offsetof(struct dmarc_report, member)
#define OF_ROW(member) offsetof(struct dmarc_report_row, member)
#define OF_AUTH(member) offsetof(struct dmarc_report_auth, member)

static const struct rule {
	enum element parent;
	const char *name;
	enum element element;
	enum kind kind;
	size_t offset; /* in what the parent fills */
} rules[] = {
	{ DOCUMENT, "feedback", FEEDBACK, GROUP, 0 },
	{ DOCUMENT, "schema", DOCUMENT, GROUP, 0 }, /* some wrap it so */
	{ FEEDBACK, "report_metadata", METADATA, GROUP, 0 },
	{ FEEDBACK, "policy_published", POLICY, GROUP, 0 },
	{ FEEDBACK, "record", RECORD, GROUP, 0 },
	{ METADATA, "org_name", LEAF, TEXT, OF_REPORT(organization) },
	{ METADATA, "email", LEAF, TEXT, OF_REPORT(email) },
	{ METADATA, "extra_contact_info", LEAF, TEXT, OF_REPORT(contact) },
	{ METADATA, "report_id", LEAF, TEXT, OF_REPORT(report_id) },
	{ METADATA, "error", LEAF, TEXT, OF_REPORT(error) },
	{ METADATA, "generator", LEAF, TEXT, OF_REPORT(generator) },
	{ METADATA, "date_range", DATE_RANGE, GROUP, 0 },
	{ DATE_RANGE, "begin", LEAF, NUMBER, OF_REPORT(begin_s) },
	{ DATE_RANGE, "end", LEAF, NUMBER, OF_REPORT(end_s) },
	{ POLICY, "domain", LEAF, WORD, OF_REPORT(policy.domain) },
	{ POLICY, "discovery_method", LEAF, WORD, OF_REPORT(policy.discovery_method) },
	{ POLICY, "p", LEAF, WORD, OF_REPORT(policy.p) },
	{ POLICY, "sp", LEAF, WORD, OF_REPORT(policy.sp) },
	{ POLICY, "np", LEAF, WORD, OF_REPORT(policy.np) },
	{ POLICY, "fo", LEAF, WORD, OF_REPORT(policy.fo) },
	{ POLICY, "adkim", LEAF, WORD, OF_REPORT(policy.adkim) },
	{ POLICY, "aspf", LEAF, WORD, OF_REPORT(policy.aspf) },
	{ POLICY, "testing", LEAF, WORD, OF_REPORT(policy.testing) },
	{ RECORD, "row", ROW, GROUP, 0 },
	{ RECORD, "identifiers", IDENTIFIERS, GROUP, 0 },
	{ RECORD, "auth_results", AUTH_RESULTS, GROUP, 0 },
	{ ROW, "source_ip", LEAF, ADDRESS, OF_ROW(source_ip) },
	{ ROW, "count", LEAF, COUNT, OF_ROW(messages) },
	{ ROW, "policy_evaluated", EVALUATED, GROUP, 0 },
	{ EVALUATED, "disposition", LEAF, WORD, OF_ROW(disposition) },
	{ EVALUATED, "dkim", LEAF, PASS, OF_ROW(dkim_aligned) },
	{ EVALUATED, "spf", LEAF, PASS, OF_ROW(spf_aligned) },
	{ EVALUATED, "reason", REASON, GROUP, 0 },
	{ REASON, "type", LEAF, WORD, offsetof(struct dmarc_report_reason, type) },
	{ REASON, "comment", LEAF, TEXT, offsetof(struct dmarc_report_reason, comment) },
	{ IDENTIFIERS, "header_from", LEAF, WORD, OF_ROW(header_from) },
	{ IDENTIFIERS, "envelope_from", LEAF, WORD, OF_ROW(envelope_from) },
	{ IDENTIFIERS, "envelope_to", LEAF, WORD, OF_ROW(envelope_to) },
	{ AUTH_RESULTS, "dkim", DKIM, GROUP, 0 },
	{ AUTH_RESULTS, "spf", SPF, GROUP, 0 },
	{ DKIM, "domain", LEAF, WORD, OF_AUTH(domain) },
	{ DKIM, "selector", LEAF, WORD, OF_AUTH(selector) },
	{ DKIM, "result", LEAF, WORD, OF_AUTH(result) },
	{ DKIM, "human_result", LEAF, TEXT, OF_AUTH(human_result) },
	{ SPF, "domain", LEAF, WORD, OF_AUTH(domain) },
	{ SPF, "scope", LEAF, WORD, OF_AUTH(scope) },
	{ SPF, "result", LEAF, WORD, OF_AUTH(result) },
	{ SPF, "human_result", LEAF, TEXT, OF_AUTH(human_result) },
};

struct reader {
	XML_Parser parser;
	struct arena *arena;
	enum err err;
	struct view prefix; /* of the root element, "ns:"; elements with another one are extensions */
	uint8_t prefix_text[64];
	bool is_whole; /* the report has ended; what comes behind it does not matter */
	unsigned depth;
	const struct rule *path[DMARC_REPORT_DEPTH_MAX]; /* NULL: an element that does not count */
	struct buf text; /* of the open leaf */
	struct dmarc_report report;
	size_t row_room;
	struct dmarc_report_row *rows;
	/* Of the open record. */
	struct dmarc_report_row row;
	struct dmarc_report_reason reasons[DMARC_REPORT_AUTH_MAX];
	struct dmarc_report_auth dkim[DMARC_REPORT_AUTH_MAX], spf[DMARC_REPORT_AUTH_MAX];
};

static void fail(struct reader *r, enum err err, const char *why)
{
	if (r->err == ERR_OK)
		r->err = err_set(err, "%s", why);
	(void)XML_StopParser(r->parser, XML_FALSE);
}

static const struct rule *find_rule(enum element parent, struct view name)
{
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (rules[i].parent == parent && view_eq(view_from_cstr(rules[i].name), name))
			return &rules[i];
	return NULL;
}

static enum element innermost(const struct reader *r)
{
	if (r->depth == 0)
		return DOCUMENT;
	const struct rule *rule = r->path[r->depth - 1];
	return rule != NULL ? rule->element : NOTHING;
}

/* The element's name without the prefix that the root has; empty for extensions'. */
static struct view local_name(struct reader *r, const char *name)
{
	struct view whole = view_from_cstr(name);
	if (innermost(r) == DOCUMENT) {
		size_t colon = view_find(whole, ':');
		struct view prefix = colon < whole.len ? view_sub(whole, 0, colon + 1) : VIEW_NONE;
		r->prefix = view_sub(view_of(r->prefix_text, sizeof r->prefix_text), 0, prefix.len);
		if (r->prefix.len > 0)
			memcpy(r->prefix_text, prefix.ptr, r->prefix.len);
	}
	return view_starts_with(whole, r->prefix) ? view_from(whole, r->prefix.len) : VIEW_NONE;
}

/* The next free place in a list of the open record; NULL when it is full. */
static void *next_place(struct reader *r, void *list, size_t *count, size_t size)
{
	if (*count == DMARC_REPORT_AUTH_MAX) {
		r->report.is_truncated = true;
		return NULL;
	}
	void *place = (char *)list + *count * size;
	memset(place, 0, size);
	++*count;
	return place;
}

static void XMLCALL on_start(void *owner, const char *name, const char **attributes)
{
	(void)attributes;
	struct reader *r = owner;
	struct view local = local_name(r, name);
	if (r->depth == DMARC_REPORT_DEPTH_MAX) {
		fail(r, ERR_SYNTAX, "elements are nested too deeply for a DMARC report");
		return;
	}
	const struct rule *rule = find_rule(innermost(r), local);
	if (innermost(r) == DOCUMENT && rule == NULL) {
		fail(r, ERR_SYNTAX, "its root element is not <feedback>: this is no DMARC report");
		return;
	}
	void *place = r;
	if (rule != NULL && rule->element == RECORD)
		r->row = (struct dmarc_report_row){ 0 };
	else if (rule != NULL && rule->element == REASON)
		place = next_place(r, r->reasons, &r->row.reason_count, sizeof r->reasons[0]);
	else if (rule != NULL && rule->element == DKIM)
		place = next_place(r, r->dkim, &r->row.dkim_count, sizeof r->dkim[0]);
	else if (rule != NULL && rule->element == SPF)
		place = next_place(r, r->spf, &r->row.spf_count, sizeof r->spf[0]);
	r->path[r->depth++] = place != NULL ? rule : NULL;
	buf_reset(&r->text);
}

static void XMLCALL on_text(void *owner, const char *text, int len)
{
	struct reader *r = owner;
	if (innermost(r) != LEAF || len <= 0)
		return;
	size_t room = DMARC_REPORT_TEXT_MAX_BYTES - r->text.len;
	size_t taken = (size_t)len < room ? (size_t)len : room;
	if (buf_append(&r->text, view_of(text, taken)) != ERR_OK)
		fail(r, ERR_LIMIT, "the report is too large");
}

static void *target(struct reader *r, enum element parent)
{
	switch (parent) {
	case ROW:
	case EVALUATED:
	case IDENTIFIERS:
		return &r->row;
	case REASON:
		return &r->reasons[r->row.reason_count - 1];
	case DKIM:
		return &r->dkim[r->row.dkim_count - 1];
	case SPF:
		return &r->spf[r->row.spf_count - 1];
	default:
		return &r->report;
	}
}

/* Trimmed, clean, in the arena. */
static bool keep(struct reader *r, struct view text, bool lower, struct view *ret)
{
	struct buf clean = { 0 };
	enum err err = text_clean(view_trim(text), &clean);
	for (size_t i = 0; lower && i < clean.len; i++)
		clean.ptr[i] = ascii_lower(clean.ptr[i]);
	if (err == ERR_OK)
		err = arena_dup(r->arena, view_trim(buf_view(&clean)), ret);
	buf_clear(&clean);
	if (err != ERR_OK)
		fail(r, ERR_LIMIT, "the report is too large");
	return err == ERR_OK;
}

static bool looks_like_ip(struct view text)
{
	bool separated = false;
	for (size_t i = 0; i < text.len; i++) {
		separated |= text.ptr[i] == '.' || text.ptr[i] == ':';
		if (ascii_hex_value(text.ptr[i]) < 0 && text.ptr[i] != '.' && text.ptr[i] != ':')
			return false;
	}
	return separated && text.len <= 45;
}

static void take_leaf(struct reader *r, const struct rule *rule)
{
	void *at = (char *)target(r, rule->parent) + rule->offset;
	struct view text = view_trim(buf_view(&r->text));
	uint64_t number = 0;
	size_t digits = 0;
	switch (rule->kind) {
	case TEXT:
	case WORD:
		(void)keep(r, text, rule->kind == WORD, at);
		break;
	case ADDRESS:
		if (looks_like_ip(text))
			(void)keep(r, text, true, at);
		break;
	case NUMBER:
	case COUNT:
		/* Some write "1538413632.5". */
		while (digits < text.len && ascii_is_digit(text.ptr[digits]))
			digits++;
		if (view_parse_u64(view_sub(text, 0, digits), INT64_MAX / 1000000, &number) != ERR_OK)
			number = 0;
		if (rule->kind == NUMBER)
			*(int64_t *)at = (int64_t)number;
		else
			*(uint64_t *)at = number;
		break;
	case PASS:
		*(bool *)at = view_eq_nocase(text, VIEW("pass"));
		break;
	default:
		break;
	}
}

static const void *copy(struct reader *r, const void *list, size_t count, size_t size)
{
	if (count == 0)
		return NULL;
	void *made = arena_alloc(r->arena, count * size);
	if (made == NULL)
		fail(r, ERR_LIMIT, "the report is too large");
	else
		memcpy(made, list, count * size);
	return made;
}

static void end_record(struct reader *r)
{
	struct dmarc_report *report = &r->report;
	if (report->row_count == DMARC_REPORT_ROWS_MAX) {
		report->is_truncated = true;
		return;
	}
	r->row.reasons = copy(r, r->reasons, r->row.reason_count, sizeof r->reasons[0]);
	r->row.dkim = copy(r, r->dkim, r->row.dkim_count, sizeof r->dkim[0]);
	r->row.spf = copy(r, r->spf, r->row.spf_count, sizeof r->spf[0]);
	if (r->err != ERR_OK)
		return;
	if (report->row_count == r->row_room) {
		r->row_room = r->row_room * 2 + 16;
		r->rows = mem_resize(r->rows, r->row_room * sizeof *r->rows);
	}
	r->rows[report->row_count++] = r->row;
}

static void end_report(struct reader *r)
{
	r->is_whole = true;
	(void)XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL on_end(void *owner, const char *name)
{
	(void)name;
	struct reader *r = owner;
	if (r->depth == 0 || r->err != ERR_OK)
		return;
	const struct rule *rule = r->path[--r->depth];
	if (rule != NULL && rule->element == LEAF)
		take_leaf(r, rule);
	else if (rule != NULL && rule->element == RECORD)
		end_record(r);
	else if (rule != NULL && rule->element == FEEDBACK)
		end_report(r);
	buf_reset(&r->text);
}

static void XMLCALL on_doctype(
	void *owner, const char *name, const char *system_id, const char *public_id, int has_internal_subset)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_internal_subset;
	/* Entities could make a small file grow without end, or name other files. No report needs any. */
	fail(owner, ERR_UNSUPPORTED, "it has a document type, which no DMARC report needs");
}

static enum err parse(struct reader *r, struct view xml)
{
	r->parser = XML_ParserCreate(NULL);
	if (r->parser == NULL)
		return err_set(ERR_LIMIT, "out of memory");
	XML_SetUserData(r->parser, r);
	XML_SetElementHandler(r->parser, on_start, on_end);
	XML_SetCharacterDataHandler(r->parser, on_text);
	XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
	enum XML_Status status = XML_STATUS_OK;
	do {
		struct view piece = view_sub(xml, 0, PIECE_BYTES);
		xml = view_from(xml, piece.len);
		status = XML_Parse(r->parser, (const char *)piece.ptr, (int)piece.len, xml.len == 0);
	} while (status == XML_STATUS_OK && xml.len > 0);
	if (!r->is_whole && r->err == ERR_OK)
		r->err = err_set(ERR_SYNTAX, "it is no well-formed XML: %s in line %lu",
			XML_ErrorString(XML_GetErrorCode(r->parser)),
			(unsigned long)XML_GetCurrentLineNumber(r->parser));
	XML_ParserFree(r->parser);
	return r->err;
}

static enum err finish(struct reader *r, struct dmarc_report *ret)
{
	struct dmarc_report *report = &r->report;
	struct view *domain = &report->policy.domain;
	while (domain->len > 0 && domain->ptr[domain->len - 1] == '.')
		*domain = view_trim(view_sub(*domain, 0, domain->len - 1));
	if (domain->len == 0)
		return err_set(ERR_SYNTAX, "it does not say which domain's policy it is about");
	report->rows = copy(r, r->rows, report->row_count, sizeof *r->rows);
	if (r->err == ERR_OK)
		*ret = *report;
	return r->err;
}

static enum err read_once(struct view xml, struct arena *arena, struct dmarc_report *ret)
{
	struct reader *r = mem_alloc(sizeof *r);
	r->arena = arena;
	enum err err = parse(r, xml);
	if (err == ERR_OK)
		err = finish(r, ret);
	buf_clear(&r->text);
	mem_free(r->rows);
	mem_free(r);
	return err;
}

/* Length of the tag that the text begins with as far as that can be told without reading on: up to behind its name; 0 if it begins none. */
static size_t tag_length(struct view text)
{
	size_t i = 1;
	if (view_starts_with(text, VIEW("<!")) || view_starts_with(text, VIEW("<?")))
		return 2;
	if (i < text.len && text.ptr[i] == '/')
		i++;
	size_t begin = i;
	while (i < text.len &&
		(ascii_is_alnum(text.ptr[i]) || text.ptr[i] == '_' || text.ptr[i] == ':' ||
			(i > begin && (text.ptr[i] == '-' || text.ptr[i] == '.'))))
		i++;
	bool ends = i < text.len && i > begin &&
		(text.ptr[i] == '>' || text.ptr[i] == '/' || text.ptr[i] == ' ' || text.ptr[i] == '\t' ||
			text.ptr[i] == '\r' || text.ptr[i] == '\n');
	return ends ? i : 0;
}

static bool is_reference(struct view text)
{
	size_t i = 1;
	while (i < text.len && i < 12 && (ascii_is_alnum(text.ptr[i]) || text.ptr[i] == '#'))
		i++;
	return i > 1 && i < text.len && text.ptr[i] == ';';
}

/* As good as the writer meant it. Never more than five times as long. */
static enum err repair(struct view xml, struct buf *out)
{
	enum err err = ERR_OK;
	struct buf utf8;
	buf_init(&utf8, xml.len * 3 + 1);
	/* The line ends are lost, which nobody misses. */
	if (!view_is_utf8(xml)) {
		err = text_clean(xml, &utf8);
		xml = buf_view(&utf8);
	}
	for (size_t i = 0; i < xml.len && err == ERR_OK; i++) {
		struct view rest = view_from(xml, i);
		if (xml.ptr[i] == '<' && tag_length(rest) == 0)
			err = buf_append_cstr(out, "&lt;");
		else if (xml.ptr[i] == '&' && !is_reference(rest))
			err = buf_append_cstr(out, "&amp;");
		else
			err = buf_append_byte(out, xml.ptr[i]);
	}
	buf_clear(&utf8);
	return err;
}

enum err dmarc_report_read(struct view xml, struct arena *arena, struct dmarc_report *ret)
{
	enum err err = read_once(xml, arena, ret);
	if (err == ERR_UNSUPPORTED)
		return ERR_SYNTAX;
	if (err != ERR_SYNTAX)
		return err;
	char why[200];
	snprintf(why, sizeof why, "%s", err_detail());
	struct buf better;
	buf_init(&better, xml.len / 4 * 5 + 65536);
	err = repair(xml, &better);
	if (err == ERR_OK)
		err = read_once(buf_view(&better), arena, ret);
	buf_clear(&better);
	/* If that did not make it a report, the sentence about what was sent is the better one. */
	return err == ERR_OK ? ERR_OK : err_set(ERR_SYNTAX, "%s", why);
}
