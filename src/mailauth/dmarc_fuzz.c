/*
 * Laws of DMARC, for any author, identifiers and answers of the DNS:
 *   - the check ends, within its number of questions and of bytes; each question is for a name that there can be, and
 *     none comes twice;
 *   - a wrong token changes nothing; the same answers give the same verdict; given up, it is temperror or what it was;
 *   - the verdict's parts fit together: only a failure is applied, never more than was asked for; organisational
 *     domains are the domain or above it; what aligns strictly is the author domain;
 *   - a record that parses has its lists inside it, and URIs are printable, without commas;
 *   - its part of Authentication-Results is printable.
 *
 * The input is lines: the author, SPF's domain, signers with "|" between, then answers. "-" in front of an identifier:
 * it failed, "~": not checked. Each question takes the next answer, and after the last the first again. "!": the DNS
 * fails; "-": no such name; else texts, with "|" between.
 */
#include "mailauth/dmarc.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS_MAX = 8, LINES_MAX = 96, MEMORY_MAX_BYTES = 96 * 1024 };

struct game {
	struct dmarc_question question;
	struct dmarc_identifier dkim[DMARC_DKIM_MAX + 4];
	struct view answers[LINES_MAX];
	size_t answer_count;
};

static struct dmarc_identifier identifier(struct view text)
{
	struct dmarc_identifier id = { text, DMARC_PASSED };
	if (text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '~')) {
		id.evidence = text.ptr[0] == '-' ? DMARC_NOT_PASSED : DMARC_NOT_CHECKED;
		id.domain = view_from(text, 1);
	}
	return id;
}

static void set_game(struct view in, struct game *game)
{
	struct view line = VIEW_NONE, part;
	*game = (struct game){ .question = { .from_count = 1 } };
	view_split(&in, '\n', &game->question.from_domain);
	view_split(&in, '\n', &line);
	game->question.spf = identifier(line);
	line = VIEW_NONE;
	view_split(&in, '\n', &line);
	game->question.dkim = game->dkim;
	while (game->question.dkim_count < DMARC_DKIM_MAX + 4 && view_split(&line, '|', &part))
		game->dkim[game->question.dkim_count++] = identifier(part);
	while (game->answer_count < LINES_MAX && view_split(&in, '\n', &line))
		game->answers[game->answer_count++] = line;
}

static void check_name(struct view name)
{
	size_t label = 0;
	ASSERT(name.len > 0 && name.len <= 253);
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		ASSERT(c == '.' ? label > 0 : c == ascii_lower(c) && (ascii_is_alnum(c) || c == '-' || c == '_'));
		label = c == '.' ? 0 : label + 1;
		ASSERT(label <= 63);
	}
	ASSERT(label > 0);
}

static void answer(const struct game *game, struct dmarc_check *check, const struct dmarc_need *need, size_t number)
{
	struct view line = game->answer_count > 0 ? game->answers[number % game->answer_count] : VIEW("-"), part;
	struct dns_record records[RECORDS_MAX] = { 0 };
	struct dns_answer answer = { .records = records };
	enum dmarc_dns_status status = DMARC_DNS_OK;
	if (view_eq(line, VIEW("!")))
		status = DMARC_DNS_FAILED;
	else if (view_eq(line, VIEW("-")))
		status = DMARC_DNS_NXDOMAIN;
	else
		while (answer.record_count < RECORDS_MAX && view_split(&line, '|', &part))
			records[answer.record_count++] = (struct dns_record){ .type = DNS_TYPE_TXT, .data = part };
	ASSERT(dmarc_check_answer(check, need->token, status, &answer) == ERR_OK);
}

/* Answers until `give_up` questions were asked. */
static void play(const struct game *game, struct dmarc_check *check, unsigned give_up)
{
	static uint64_t names[DMARC_QUESTIONS_MAX];
	struct dmarc_need need;
	struct dmarc_verdict none;
	uint64_t token = 0;
	for (unsigned asked = 0; dmarc_check_next(check, &need); asked++) {
		ASSERT(asked < DMARC_QUESTIONS_MAX && need.token > token && !dmarc_check_result(check, &none));
		ASSERT(need.type == DNS_TYPE_A ||
			(need.type == DNS_TYPE_TXT && view_starts_with(need.name, VIEW("_dmarc."))));
		check_name(need.name);
		names[asked] = view_hash(need.name) + need.type;
		for (unsigned i = 0; i < asked; i++)
			ASSERT(names[i] != names[asked]);
		ASSERT(dmarc_check_answer(check, token, DMARC_DNS_FAILED, NULL) == ERR_STATE);
		token = need.token;
		if (asked == give_up)
			dmarc_check_give_up(check);
		else
			answer(game, check, &need, asked);
		ASSERT(dmarc_check_memory_bytes(check) <= MEMORY_MAX_BYTES);
	}
}

static bool is_within(struct view domain, struct view parent)
{
	return view_eq(domain, parent) ||
		(domain.len > parent.len && view_ends_with_nocase(domain, parent) &&
			domain.ptr[domain.len - parent.len - 1] == '.');
}

static void check_alignments(const struct dmarc_check *check, const struct dmarc_verdict *verdict)
{
	struct dmarc_alignment id;
	for (size_t i = 0; dmarc_check_dkim(check, i, &id) || (i == 0 && dmarc_check_spf(check, &id)); i++) {
		ASSERT(id.domain.len > 0 || (id.evidence == DMARC_NOT_PASSED && !id.is_aligned));
		ASSERT(id.org_domain.len == 0 || is_within(id.domain, id.org_domain));
		ASSERT(!id.is_aligned || !id.is_strict || view_eq(id.domain, verdict->domain));
		ASSERT(!id.is_aligned || view_eq(id.domain, verdict->domain) ||
			view_eq(id.org_domain, verdict->org_domain));
		ASSERT(!id.is_aligned || !id.is_unknown);
		ASSERT(verdict->result != DMARC_FAIL || id.evidence != DMARC_PASSED || !id.is_aligned);
	}
}

static void check_text(struct view text)
{
	for (size_t i = 0; i < text.len; i++)
		ASSERT(ascii_is_printable(text.ptr[i]) && text.ptr[i] != ';');
}

static void check_verdict(const struct dmarc_verdict *verdict)
{
	struct buf out = { 0 };
	ASSERT(verdict->reason != NULL && verdict->questions <= DMARC_QUESTIONS_MAX);
	ASSERT((verdict->source == DMARC_SOURCE_NONE) == (verdict->record_domain.len == 0));
	ASSERT(verdict->source == DMARC_SOURCE_NONE || is_within(verdict->domain, verdict->record_domain));
	ASSERT(is_within(verdict->domain, verdict->org_domain) || verdict->org_domain.len == 0);
	ASSERT(verdict->applied <= verdict->policy);
	ASSERT(verdict->result == DMARC_FAIL || verdict->applied == DMARC_POLICY_NONE);
	ASSERT((verdict->result == DMARC_PASS) == (verdict->spf_aligned || verdict->dkim_aligned));
	ASSERT((verdict->result != DMARC_PASS && verdict->result != DMARC_FAIL) || verdict->record.is_usable);
	ASSERT((verdict->result == DMARC_PERMERROR) == (verdict->domain.len == 0));
	ASSERT(dmarc_format_result(verdict, &out) == ERR_OK);
	check_text(buf_view(&out));
	buf_clear(&out);
}

static bool is_same(const struct dmarc_verdict *a, const struct dmarc_verdict *b)
{
	return a->result == b->result && a->source == b->source && a->policy == b->policy && a->applied == b->applied &&
		a->reason == b->reason && a->questions == b->questions && view_eq(a->org_domain, b->org_domain) &&
		view_eq(a->record_domain, b->record_domain) && view_eq(a->record.rua, b->record.rua);
}

static void check_record(struct view text)
{
	struct dmarc_record record;
	struct view uri;
	if (!dmarc_record_parse(text, &record)) {
		ASSERT(!dmarc_record_is_dmarc(text));
		return;
	}
	struct view lists[] = { record.rua, record.ruf };
	for (size_t i = 0; i < 2; i++) {
		ASSERT(lists[i].len == 0 ||
			(lists[i].ptr >= text.ptr && lists[i].ptr + lists[i].len <= text.ptr + text.len));
		while (dmarc_uri_next(&lists[i], &uri)) {
			ASSERT(uri.len > 0 && view_find(uri, ',') == uri.len && view_find(uri, ' ') == uri.len);
			check_text(view_sub(uri, 0, view_find(uri, ';')));
		}
	}
	ASSERT(record.is_usable || record.fault != NULL);
	ASSERT(record.fault == NULL || record.policy == DMARC_POLICY_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct game game;
	struct dmarc_verdict first, other;
	set_game(view_of(data, size), &game);
	struct dmarc_check *check = dmarc_check_new(&game.question), *again = dmarc_check_new(&game.question);
	play(&game, check, DMARC_QUESTIONS_MAX);
	play(&game, again, DMARC_QUESTIONS_MAX);
	ASSERT(dmarc_check_result(check, &first) && dmarc_check_result(again, &other) && is_same(&first, &other));
	check_verdict(&first);
	check_alignments(check, &first);
	dmarc_check_free(again);
	again = dmarc_check_new(&game.question);
	play(&game, again, first.questions / 2);
	ASSERT(dmarc_check_result(again, &other));
	check_verdict(&other);
	ASSERT(first.questions == 0 || other.result == DMARC_TEMPERROR);
	dmarc_check_free(again);
	dmarc_check_free(check);
	for (size_t i = 0; i < game.answer_count; i++) {
		struct view rest = game.answers[i], text;
		while (view_split(&rest, '|', &text))
			check_record(text);
	}
	return 0;
}
