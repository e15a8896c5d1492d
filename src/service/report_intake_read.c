/* From a message to rows of the store. */
#include "service/report_intake_private.h"

#include "base/mem.h"
#include "mail/address_list.h"
#include "mail/feedback_report.h"
#include "mail/header.h"
#include "mailauth/dmarc_report.h"
#include "mailauth/report_file.h"
#include "mailauth/tls_report.h"
#include "store/report_store.h"

#include <string.h>

#define NAME_BYTES 256u

struct report_intake {
	enum report_intake_kind kind;
	int64_t now_ms;
	struct arena arena; /* of DMARC and TLS */
	struct dmarc_report dmarc;
	struct report_row *rows;
	struct buf policy;
	struct tls_report tls;
	bool (*is_ours)(void *owner, struct view domain);
	void *owner;
	struct feedback_report failure;
	struct buf reporter, domain; /* of a failure report: who sent it, and whose mail it is about */
};

void report_intake_free(struct report_intake *intake)
{
	if (intake == NULL)
		return;
	arena_clear(&intake->arena);
	mem_free(intake->rows);
	buf_clear(&intake->policy);
	buf_clear(&intake->reporter);
	buf_clear(&intake->domain);
	feedback_report_clear(&intake->failure);
	mem_free(intake);
}

enum report_intake_kind report_intake_kind(const struct report_intake *intake)
{
	return intake->kind;
}

static struct view cut(struct view text)
{
	return view_sub(text, 0, NAME_BYTES);
}

struct view report_intake_domain(const struct report_intake *intake)
{
	switch (intake->kind) {
	case REPORT_INTAKE_DMARC:
		return cut(intake->dmarc.policy.domain);
	case REPORT_INTAKE_TLS:
		return cut(intake->tls.policies[0].domain);
	default:
		return buf_view(&intake->domain);
	}
}

struct view report_intake_organization(const struct report_intake *intake)
{
	switch (intake->kind) {
	case REPORT_INTAKE_DMARC:
		return cut(intake->dmarc.organization.len > 0 ? intake->dmarc.organization : intake->dmarc.email);
	case REPORT_INTAKE_TLS:
		return cut(intake->tls.organization);
	default:
		return cut(buf_view(&intake->reporter));
	}
}

static struct view cut_type(struct view text)
{
	return view_sub(text, 0, 32);
}

/* DMARC */

/* The signature that tells most: one that passed. */
static struct view signer_of(const struct dmarc_report_row *row)
{
	for (size_t i = 0; i < row->dkim_count; i++)
		if (view_eq(row->dkim[i].result, VIEW("pass")))
			return cut(row->dkim[i].domain);
	return row->dkim_count > 0 ? cut(row->dkim[0].domain) : VIEW_NONE;
}

static enum err format_policy(const struct dmarc_report_policy *policy, struct buf *out)
{
	enum err err = buf_append_format(out, "p=%.*s", VIEW_ARG(view_sub(policy->p, 0, 20)));
	if (err == ERR_OK && policy->sp.len > 0)
		err = buf_append_format(out, " sp=%.*s", VIEW_ARG(view_sub(policy->sp, 0, 20)));
	if (err == ERR_OK && policy->np.len > 0)
		err = buf_append_format(out, " np=%.*s", VIEW_ARG(view_sub(policy->np, 0, 20)));
	return err;
}

static enum err read_dmarc(struct report_intake *intake, struct view xml)
{
	arena_init(&intake->arena, DMARC_REPORT_ARENA_BYTES);
	enum err err = dmarc_report_read(xml, &intake->arena, &intake->dmarc);
	if (err == ERR_OK)
		err = format_policy(&intake->dmarc.policy, &intake->policy);
	if (err != ERR_OK)
		return err;
	intake->kind = REPORT_INTAKE_DMARC;
	intake->rows = mem_alloc_array(intake->dmarc.row_count, sizeof *intake->rows);
	for (size_t i = 0; i < intake->dmarc.row_count; i++) {
		const struct dmarc_report_row *row = &intake->dmarc.rows[i];
		struct view envelope = row->envelope_from.len > 0 ? row->envelope_from
			: row->spf_count > 0                      ? row->spf[0].domain
								  : VIEW_NONE;
		intake->rows[i] = (struct report_row){
			.source_ip = row->source_ip,
			.messages = row->messages,
			.disposition = view_sub(row->disposition, 0, 20),
			.dkim_aligned = row->dkim_aligned,
			.spf_aligned = row->spf_aligned,
			.header_from = cut(row->header_from),
			.envelope_from = cut(envelope),
			.dkim_domain = signer_of(row),
		};
	}
	return ERR_OK;
}

static enum err put_dmarc(const struct report_intake *intake, struct db *db, unsigned *ret_new)
{
	struct report_dmarc report = {
		.domain = report_intake_domain(intake),
		.organization = report_intake_organization(intake),
		.report_id = cut(intake->dmarc.report_id),
		.begin_s = intake->dmarc.begin_s,
		.end_s = intake->dmarc.end_s,
		.policy = buf_view(&intake->policy),
		.received_ms = intake->now_ms,
		.row_count = intake->dmarc.row_count,
		.rows = intake->rows,
	};
	bool is_new = false;
	enum err err = report_store_put_dmarc(db, &report, &is_new);
	*ret_new = is_new;
	return err;
}

/* TLS */

static enum err read_tls(struct report_intake *intake, struct view json)
{
	arena_init(&intake->arena, TLS_REPORT_ARENA_BYTES);
	enum err err = tls_report_read(json, &intake->arena, &intake->tls);
	if (err == ERR_OK)
		intake->kind = REPORT_INTAKE_TLS;
	return err;
}

/* Of one domain and type: a report has several when the policy changed, or each host has its own TLSA records. */
static bool is_alike(const struct tls_report_policy *a, const struct tls_report_policy *b)
{
	return view_eq(cut(a->domain), cut(b->domain)) && view_eq(cut_type(a->type), cut_type(b->type));
}

static size_t add_rows(const struct tls_report_policy *policy, struct report_tls_row *rows, size_t count)
{
	for (size_t i = 0; i < policy->failure_count && count < REPORT_STORE_ROWS_MAX; i++) {
		const struct tls_report_failure *f = &policy->details[i];
		rows[count++] = (struct report_tls_row){
			.result = view_sub(f->result_type, 0, 64),
			.host = cut(f->receiving_host),
			.sending_ip = view_sub(f->sending_ip, 0, 64),
			.receiving_ip = view_sub(f->receiving_ip, 0, 64),
			.reason = cut(f->reason.len > 0 ? f->reason : f->additional),
			.sessions = f->sessions,
		};
	}
	return count;
}

/* This policy and all behind it that are like it, as one: the store knows them by domain and type. */
static enum err put_policies(const struct report_intake *intake, struct db *db, size_t first, unsigned *count)
{
	const struct tls_report_policy *policies = intake->tls.policies;
	struct report_tls_row *rows = mem_alloc_array(REPORT_STORE_ROWS_MAX, sizeof *rows);
	struct report_tls report = {
		.domain = cut(policies[first].domain),
		.organization = report_intake_organization(intake),
		.report_id = cut(intake->tls.report_id),
		.policy_type = cut_type(policies[first].type),
		.begin_s = intake->tls.begin_s,
		.end_s = intake->tls.end_s,
		.received_ms = intake->now_ms,
		.rows = rows,
	};
	for (size_t i = first; i < intake->tls.policy_count; i++) {
		if (!is_alike(&policies[first], &policies[i]))
			continue;
		/* Each of them is at most INT64_MAX / 1,000,000. */
		report.successes += policies[i].successes;
		report.failures += policies[i].failures;
		report.row_count = add_rows(&policies[i], rows, report.row_count);
	}
	bool is_new = false;
	enum err err = report_store_put_tls(db, &report, &is_new);
	*count += is_new;
	mem_free(rows);
	return err;
}

static bool was_put(const struct report_intake *intake, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (is_alike(&intake->tls.policies[i], &intake->tls.policies[index]))
			return true;
	return false;
}

static enum err put_tls(const struct report_intake *intake, struct db *db, unsigned *ret_new)
{
	enum err err = ERR_OK;
	unsigned count = 0;
	for (size_t i = 0; i < intake->tls.policy_count && err == ERR_OK; i++)
		if (intake->is_ours(intake->owner, intake->tls.policies[i].domain) && !was_put(intake, i))
			err = put_policies(intake, db, i, &count);
	*ret_new = count;
	return err;
}

/* Failure reports */

/* The domain that sent the report: of its From field. */
static enum err find_reporter(struct view message, struct buf *out)
{
	struct header_field field;
	struct address_list list;
	struct address_list_entry entry;
	enum err err = ERR_OK;
	if (!header_find(message, VIEW("From"), &field))
		return ERR_OK;
	address_list_init(&list, view_sub(field.value, 0, 2048));
	if (address_list_next(&list, &entry) == ERR_OK && entry.address.len > entry.local_length)
		err = buf_append(out, view_from(entry.address, entry.local_length + 1));
	address_list_clear(&list);
	return err;
}

static struct view domain_of(struct view address)
{
	size_t at = view_find_last(address, '@');
	return at < address.len ? view_from(address, at + 1) : VIEW_NONE;
}

/* The one that is reported, else the author's: in lower case without a dot at its end, as domains are known by. */
static enum err set_domain(struct report_intake *intake)
{
	const struct feedback_report *f = &intake->failure;
	struct view domain = cut(f->reported_domain.len > 0 ? f->reported_domain : domain_of(f->header_from));
	if (domain.len > 0 && domain.ptr[domain.len - 1] == '.')
		domain.len--;
	enum err err = buf_append(&intake->domain, domain);
	for (size_t i = 0; i < intake->domain.len; i++)
		intake->domain.ptr[i] = ascii_lower(intake->domain.ptr[i]);
	return err;
}

static enum err read_failure(struct report_intake *intake, struct view message)
{
	struct feedback_report *f = &intake->failure;
	enum err err = feedback_report_parse(message, f);
	if (err != ERR_OK)
		return err;
	/* Complaints are about mail that we sent, and counted elsewhere. */
	if (!view_eq(f->type, VIEW("auth-failure")))
		return err_set(ERR_NOT_FOUND, "the feedback is not about authentication");
	intake->kind = REPORT_INTAKE_FAILURE;
	err = set_domain(intake);
	return err == ERR_OK ? find_reporter(message, &intake->reporter) : err;
}

static enum err put_failure(const struct report_intake *intake, struct db *db, unsigned *ret_new)
{
	const struct feedback_report *f = &intake->failure;
	struct report_failure failure = {
		.domain = report_intake_domain(intake),
		.reporter = report_intake_organization(intake),
		.received_ms = intake->now_ms,
		.arrival_ms = f->arrival_ms,
		.source_ip = view_sub(f->source_ip, 0, 64),
		.mail_from = cut(f->mail_from),
		.header_from = cut(f->header_from),
		.failure = view_sub(f->failure, 0, 32),
		.delivery_result = view_sub(f->delivery_result, 0, 32),
		.message_id = cut(f->message_id),
		.incidents = f->incidents,
	};
	*ret_new = 1;
	return report_store_put_failure(db, &failure);
}

/* All of them */

static enum err read_any(struct report_intake *intake, struct view message)
{
	struct buf text;
	enum report_file_kind kind;
	buf_init(&text, REPORT_FILE_MAX_BYTES);
	enum err err = report_file_find(message, &text, &kind);
	if (err == ERR_OK && kind == REPORT_FILE_DMARC)
		err = read_dmarc(intake, buf_view(&text));
	else if (err == ERR_OK)
		err = read_tls(intake, buf_view(&text));
	else if (err == ERR_NOT_FOUND)
		err = read_failure(intake, message);
	buf_clear(&text);
	return err;
}

enum err report_intake_read(struct view message, int64_t now_ms, bool (*is_ours)(void *owner, struct view domain),
	void *owner, struct report_intake **ret)
{
	struct report_intake *intake = mem_alloc(sizeof *intake);
	intake->now_ms = now_ms;
	intake->is_ours = is_ours;
	intake->owner = owner;
	enum err err = read_any(intake, message);
	/* Anybody may write to the mailbox; what is kept is about us at least. */
	bool ours = err == ERR_OK && is_ours(owner, report_intake_domain(intake));
	for (size_t i = 0; err == ERR_OK && intake->kind == REPORT_INTAKE_TLS && i < intake->tls.policy_count; i++)
		ours |= is_ours(owner, intake->tls.policies[i].domain);
	if (err == ERR_OK && !ours)
		err = err_set(ERR_REFUSED, "it is about a domain that is not ours");
	if (err == ERR_OK)
		*ret = intake;
	else
		report_intake_free(intake);
	return err;
}

enum err report_intake_put(const struct report_intake *intake, struct db *db, unsigned *ret_new)
{
	switch (intake->kind) {
	case REPORT_INTAKE_DMARC:
		return put_dmarc(intake, db, ret_new);
	case REPORT_INTAKE_TLS:
		return put_tls(intake, db, ret_new);
	case REPORT_INTAKE_FAILURE:
		return put_failure(intake, db, ret_new);
	default:
		return err_set(ERR_STATE, "there is no report");
	}
}
