/* What incoming messages showed, gathered in memory (most of it is the same again and again) and written in batches. */
#include "service/reports_private.h"

#include "base/mem.h"
#include "crypto/hash.h"
#include "mail/encode.h"
#include "service/report_intake.h"
#include "store/dmarc_store.h"

#include <jansson.h>
#include <string.h>

#define NOTES_MAX 8192u
#define NOTES_BYTES_MAX (16u * 1024 * 1024)
#define NOTES_WRITE_AT 2048u /* sooner than the timer says */
#define BATCH_MAX 500u
#define SIGNATURES_MAX 10u
#define TEXT_MAX_BYTES 255u
#define POLICY_MAX_BYTES 8192u
#define KEY_BYTES 16u /* of the hash: what an attacker could make alike are his own rows */
#define KEY_TEXT_BYTES (2 * KEY_BYTES)

struct reports_note {
	struct reports_note *next;
	int64_t at_ms, day; /* of the first message */
	uint64_t messages;
	size_t bytes;
	struct view domain, policy, details;
	char key[KEY_TEXT_BYTES];
	uint8_t text[];
};

/* The policy, as a record that says all that a report needs: dmarc_record_parse() reads it again. */
static enum err format_policy(const struct dmarc_record *record, struct buf *out)
{
	static const char letters[] = "01ds";
	enum err err = buf_append_format(out, "v=DMARC1; p=%.*s; sp=%.*s; np=%.*s; adkim=%c; aspf=%c; t=%c; fo=",
		VIEW_ARG(dmarc_policy_name(record->policy)), VIEW_ARG(dmarc_policy_name(record->subdomain_policy)),
		VIEW_ARG(dmarc_policy_name(record->nonexistent_policy)), record->dkim_is_strict ? 's' : 'r',
		record->spf_is_strict ? 's' : 'r', record->is_testing ? 'y' : 'n');
	const char *before = "";
	for (unsigned i = 0; letters[i] != '\0' && err == ERR_OK; i++)
		if ((record->failure_reports >> i & 1) != 0) {
			err = buf_append_format(out, "%s%c", before, letters[i]);
			before = ":";
		}
	if (err == ERR_OK)
		err = buf_append_format(out, "; rua=%.*s", VIEW_ARG(record->rua));
	return err;
}

/* Outside text, cut and clean. */
static json_t *json_clean(struct view text)
{
	struct buf clean = { 0 };
	json_t *made = NULL;
	if (text_clean(view_sub(text, 0, TEXT_MAX_BYTES), &clean) == ERR_OK)
		made = json_stringn_nocheck(clean.len > 0 ? (const char *)clean.ptr : "", clean.len);
	buf_clear(&clean);
	return made != NULL ? made : json_string("");
}

static unsigned rank(const struct dmarc_note_signature *signature)
{
	return signature->is_aligned ? 0 : view_eq(signature->result, VIEW("pass")) ? 1 : 2;
}

/* RFC 9990 §3.1.3: those that tell most come first. */
static json_t *signatures_json(const struct dmarc_note *note)
{
	json_t *list = json_array();
	for (unsigned wanted = 0; wanted < 3; wanted++)
		for (size_t i = 0; i < note->signature_count && json_array_size(list) < SIGNATURES_MAX; i++) {
			const struct dmarc_note_signature *s = &note->signatures[i];
			if (rank(s) == wanted)
				json_array_append_new(list,
					json_pack("[o, o, o]", json_clean(s->domain), json_clean(s->selector),
						json_clean(s->result)));
		}
	return list;
}

static json_t *reason_json(const struct dmarc_note *note)
{
	const struct dmarc_verdict *v = note->verdict;
	if (v->result != DMARC_FAIL)
		return json_array();
	if (note->override_type != NULL && note->disposition != v->applied)
		return json_pack("[s, o]", note->override_type, json_clean(note->override_comment));
	if (v->record.is_testing && v->policy != DMARC_POLICY_NONE)
		return json_pack("[s, s]", "policy_test_mode", "t=y");
	if (note->disposition != v->policy)
		return json_pack("[s, s]", "local_policy", "");
	return json_array();
}

static enum err format_details(const struct dmarc_note *note, struct buf *out)
{
	const struct dmarc_verdict *v = note->verdict;
	json_t *json = json_pack("{s:o, s:o, s:b, s:b, s:o, s:o, s:[o, o], s:o}", "ip", json_clean(note->client),
		"disposition", json_clean(dmarc_policy_name(note->disposition)), "dkim", v->dkim_aligned, "spf",
		v->spf_aligned, "reason", reason_json(note), "from", json_clean(v->domain), "spf_result",
		json_clean(note->spf_domain), json_clean(note->spf_result.len > 0 ? note->spf_result : VIEW("none")),
		"signatures", signatures_json(note));
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	enum err err = text != NULL ? buf_append_cstr(out, text) : ERR_LIMIT;
	free(text);
	return err;
}

static struct reports_note *note_make(const struct dmarc_note *note)
{
	struct buf policy = { 0 }, details = { 0 };
	struct view domain = note->verdict->record_domain;
	struct reports_note *made = NULL;
	enum err err = format_policy(&note->verdict->record, &policy);
	if (err == ERR_OK)
		err = format_details(note, &details);
	if (err == ERR_OK && policy.len <= POLICY_MAX_BYTES) {
		size_t bytes = sizeof *made + domain.len + policy.len + details.len;
		made = mem_alloc(bytes);
		made->bytes = bytes;
		made->messages = 1;
		made->at_ms = note->at_ms;
		made->day = note->at_ms / 1000 / REPORTS_DAY_S;
		uint8_t *at = made->text;
		const struct view from[] = { domain, buf_view(&policy), buf_view(&details) };
		struct view *to[] = { &made->domain, &made->policy, &made->details };
		for (size_t i = 0; i < 3; i++) {
			if (from[i].len > 0)
				memcpy(at, from[i].ptr, from[i].len);
			*to[i] = view_of(at, from[i].len);
			at += from[i].len;
		}
		uint8_t hash[HASH_BYTES];
		hash_once(made->details, hash);
		for (size_t i = 0; i < KEY_TEXT_BYTES; i++)
			made->key[i] = "0123456789abcdef"[hash[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
	}
	buf_clear(&policy);
	buf_clear(&details);
	return made;
}

static struct reports_note **find(struct reports_notes *notes, const struct reports_note *like)
{
	size_t bucket = (view_hash(like->domain) ^ view_hash(view_of(like->key, sizeof like->key))) %
		REPORTS_NOTE_BUCKETS;
	struct reports_note **at = &notes->buckets[bucket];
	while (*at != NULL &&
		((*at)->day != like->day || memcmp((*at)->key, like->key, sizeof like->key) != 0 ||
			!view_eq((*at)->domain, like->domain)))
		at = &(*at)->next;
	return at;
}

/* Takes the note. True if it is time to write. */
static bool keep(struct reports_notes *notes, struct reports_note *note)
{
	struct reports_note **at = find(notes, note);
	/* The policy that was seen last counts. */
	if (*at != NULL && view_eq((*at)->policy, note->policy)) {
		(*at)->messages++;
		mem_free(note);
	} else if (*at != NULL) {
		struct reports_note *old = *at;
		note->messages += old->messages;
		note->next = old->next;
		notes->bytes += note->bytes - old->bytes;
		*at = note;
		mem_free(old);
	} else if (notes->count < NOTES_MAX && notes->bytes + note->bytes <= NOTES_BYTES_MAX) {
		*at = note;
		notes->count++;
		notes->bytes += note->bytes;
	} else {
		notes->dropped++;
		mem_free(note);
	}
	if (notes->count < NOTES_WRITE_AT || notes->is_posted)
		return false;
	notes->is_posted = true;
	return true;
}

static bool is_wanted(struct server *server, const struct dmarc_note *note)
{
	const struct dmarc_verdict *v = note->verdict;
	if ((v->result != DMARC_PASS && v->result != DMARC_FAIL) || v->source == DMARC_SOURCE_NONE ||
		v->record.rua.len == 0 || v->record_domain.len == 0)
		return false;
	struct config *config = server_config(server);
	bool wanted = config->reports.dmarc;
	/* Else two servers would tell each other about their reports for ever. */
	for (size_t i = 0; wanted && i < note->recipient_count; i++)
		wanted = !report_intake_is_mailbox(config, VIEW_NONE, &note->recipients[i]);
	config_unref(config);
	return wanted;
}

void dmarc_result_note(struct server *server, const struct dmarc_note *note)
{
	if (server->background == NULL || !is_wanted(server, note))
		return;
	struct reports *reports = server->background->reports;
	struct reports_note *made = note_make(note);
	if (made == NULL)
		return;
	pthread_mutex_lock(&reports->notes.lock);
	bool post = keep(&reports->notes, made);
	pthread_mutex_unlock(&reports->notes.lock);
	if (post)
		loop_post(server->background->loop, &reports->notes.task);
}

/* Writing */

struct write_job {
	struct store_job job; /* first */
	struct reports *reports;
	size_t count;
	struct reports_note *notes[BATCH_MAX];
	uint64_t unnoted;
};

static enum err write_notes(struct store_job *store_job, struct db *db)
{
	struct write_job *job = (struct write_job *)(void *)store_job;
	enum err err = ERR_OK;
	job->unnoted = 0;
	for (size_t i = 0; i < job->count && err == ERR_OK; i++) {
		const struct reports_note *note = job->notes[i];
		struct dmarc_store_result result = {
			.day = note->day,
			.at_ms = note->at_ms,
			.domain = note->domain,
			.policy = note->policy,
			.row_key = view_of(note->key, sizeof note->key),
			.details = note->details,
			.messages = note->messages,
		};
		err = dmarc_store_note(db, &result);
		if (err != ERR_LIMIT)
			continue;
		job->unnoted += note->messages;
		err = ERR_OK;
	}
	return err;
}

/* Reports that an operator asked for are made when everything is in the store. */
static void begin_if_wanted(struct reports *reports)
{
	if (!reports->send_wanted || reports->notes.writing > 0 || reports->stopping)
		return;
	reports->send_wanted = false;
	atomic_store(&reports->send_posted, false);
	reports_round_start(reports, atomic_load(&reports->send_day));
}

static void notes_written(struct store_job *store_job)
{
	struct write_job *job = (struct write_job *)(void *)store_job;
	if (store_job->err != ERR_OK)
		LOG(LOG_LEVEL_WARNING, "report-notes-lost", LOG_CSTR("reason", store_job->detail));
	else if (job->unnoted > 0)
		LOG(LOG_LEVEL_WARNING, "report-notes-lost", LOG_NUM("messages", job->unnoted),
			LOG_CSTR("reason", "mail of too many domains was noted today"));
	for (size_t i = 0; i < job->count; i++)
		mem_free(job->notes[i]);
	struct reports *reports = job->reports;
	mem_free(job);
	reports->notes.writing--;
	begin_if_wanted(reports);
	background_job_ended(reports->background);
}

static void submit(struct reports *reports, struct reports_note **chain)
{
	struct write_job *job = mem_alloc(sizeof *job);
	job->reports = reports;
	while (*chain != NULL && job->count < BATCH_MAX) {
		job->notes[job->count++] = *chain;
		*chain = (*chain)->next;
	}
	job->job.run = write_notes;
	job->job.done = notes_written;
	reports->notes.writing++;
	background_job_started(reports->background);
	store_write(reports->background->server->store, reports->background->loop, &job->job);
}

void reports_notes_write(struct reports *reports)
{
	struct reports_notes *notes = &reports->notes;
	struct reports_note *chain = NULL;
	pthread_mutex_lock(&notes->lock);
	for (size_t i = 0; i < REPORTS_NOTE_BUCKETS && notes->count > 0; i++)
		while (notes->buckets[i] != NULL) {
			struct reports_note *note = notes->buckets[i];
			notes->buckets[i] = note->next;
			note->next = chain;
			chain = note;
			notes->count--;
		}
	uint64_t dropped = notes->dropped;
	notes->dropped = 0;
	notes->bytes = 0;
	notes->is_posted = false;
	pthread_mutex_unlock(&notes->lock);
	if (dropped > 0)
		LOG(LOG_LEVEL_WARNING, "report-notes-lost", LOG_NUM("messages", dropped),
			LOG_CSTR("reason", "too many different ones at once"));
	while (chain != NULL)
		submit(reports, &chain);
	begin_if_wanted(reports);
}

static void write_posted(struct loop_task *task)
{
	struct reports_notes *notes = LIST_ENTRY(task, struct reports_notes, task);
	reports_notes_write(LIST_ENTRY(notes, struct reports, notes));
}

void reports_notes_init(struct reports *reports)
{
	pthread_mutex_init(&reports->notes.lock, NULL);
	reports->notes.task.run = write_posted;
}

void reports_notes_clear(struct reports *reports)
{
	for (size_t i = 0; i < REPORTS_NOTE_BUCKETS; i++)
		while (reports->notes.buckets[i] != NULL) {
			struct reports_note *note = reports->notes.buckets[i];
			reports->notes.buckets[i] = note->next;
			mem_free(note);
		}
	pthread_mutex_destroy(&reports->notes.lock);
}
