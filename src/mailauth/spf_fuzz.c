/*
 * Laws of SPF, for any record, identity and answers of the DNS:
 *   - the check ends, within its number of questions and of bytes; each question is for a name that there can be;
 *   - a late or wrong answer changes nothing; the same answers give the same verdict;
 *   - the verdict's parts fit together; header fields are whole lines of printable bytes;
 *   - a record that parses yields terms that stand in it, one behind the other; expanded domains are no longer than names.
 *
 * The input is lines: options ("6": an IPv6 client; "h": the HELO; "s": small limits), HELO, local@domain, and then
 * answers. Each question takes the next of them, and after the last the first again. "!": the DNS fails; "-": no such
 * name; else records, with "|" between: texts, or names, or, for addresses, "y" for the client's own and anything else
 * for a neighbour's.
 */
#include "mailauth/spf_private.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS_MAX = 24, LINES_MAX = 64, FIXED_BYTES = 16 * 1024 };

struct game {
	struct spf_question question;
	struct view answers[LINES_MAX];
	size_t answer_count;
};

struct reply {
	enum spf_dns_status status;
	struct dns_answer answer;
	struct dns_record records[RECORDS_MAX];
	uint8_t addresses[RECORDS_MAX][16];
	struct buf names[RECORDS_MAX];
};

static const uint8_t client[16] = { 0x20, 0x01, 0x0d, 0xb8, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 1 };

static void set_game(struct view in, struct game *game)
{
	struct view options = VIEW_NONE, helo = VIEW_NONE, sender = VIEW_NONE, line;
	*game = (struct game){ 0 };
	view_split(&in, '\n', &options);
	view_split(&in, '\n', &helo);
	view_split(&in, '\n', &sender);
	while (game->answer_count < LINES_MAX && view_split(&in, '\n', &line))
		game->answers[game->answer_count++] = line;
	size_t at = view_find_last(sender, '@');
	struct spf_question *question = &game->question;
	bool is_v6 = view_find(options, '6') < options.len;
	question->ip = is_v6 ? view_of(client, 16) : view_of(client + 4, 4);
	question->identity = view_find(options, 'h') < options.len ? SPF_HELO : SPF_MAIL_FROM;
	question->helo = helo;
	question->local = view_sub(sender, 0, at);
	question->domain = view_from(sender, at + 1);
	question->receiver = VIEW("mx.example.org");
	question->now_s = 1234567890;
	if (view_find(options, 's') < options.len)
		question->limits = (struct spf_limits){ 3, 1, 2, 100, 2000 };
}

static void check_name(struct view name)
{
	size_t bytes = 0, label = 0;
	ASSERT(name.len > 0);
	for (size_t i = 0; i < name.len; i++, bytes++) {
		uint8_t c = name.ptr[i];
		if (c == '.') {
			ASSERT(label > 0);
			label = 0;
			continue;
		}
		label++;
		if (c == '\\') {
			ASSERT(i + 3 < name.len);
			ASSERT(ascii_is_digit(name.ptr[i + 1]) && ascii_is_digit(name.ptr[i + 2]) &&
				ascii_is_digit(name.ptr[i + 3]));
			i += 3;
		} else {
			ASSERT(c == ascii_lower(c) && (ascii_is_alnum(c) || c == '-' || c == '_'));
		}
		ASSERT(label <= SPF_LABEL_MAX_BYTES);
	}
	ASSERT(label > 0 && bytes <= SPF_NAME_MAX_BYTES);
}

/* dns/message.h promises well-formed names, so what is none is left out. */
static void add_record(struct reply *reply, uint16_t type, struct view text)
{
	size_t i = reply->answer.record_count;
	struct dns_record *record = &reply->records[i];
	*record = (struct dns_record){ .type = type };
	if (type == DNS_TYPE_TXT) {
		record->data = text;
	} else if (type == DNS_TYPE_MX || type == DNS_TYPE_PTR) {
		if (text.len > 0 && spf_name_format(text, &reply->names[i]) != ERR_OK)
			return;
		record->name = text.len > 0 ? buf_view(&reply->names[i]) : VIEW_NONE;
	} else {
		size_t len = type == DNS_TYPE_A ? 4 : 16;
		memcpy(reply->addresses[i], client + (len == 4 ? 4 : 0), len);
		if (!view_eq(text, VIEW("y")))
			reply->addresses[i][len - 1] ^= (uint8_t)(1 + text.len);
		record->data = view_of(reply->addresses[i], len);
	}
	reply->answer.record_count++;
}

static void set_reply(const struct game *game, const struct spf_need *need, size_t number, struct reply *reply)
{
	struct view line = game->answer_count > 0 ? game->answers[number % game->answer_count] : VIEW("-"), part;
	reply->answer = (struct dns_answer){ .records = reply->records };
	reply->status = SPF_DNS_OK;
	if (view_eq(line, VIEW("!")))
		reply->status = SPF_DNS_FAILED;
	else if (view_eq(line, VIEW("-")))
		reply->status = SPF_DNS_NXDOMAIN;
	else
		while (reply->answer.record_count < RECORDS_MAX && view_split(&line, '|', &part))
			add_record(reply, need->type, part);
}

/* Answers until `give_up` questions were asked. */
static void play(const struct game *game, struct spf_check *check, unsigned give_up)
{
	static struct reply reply;
	struct spf_need need;
	uint64_t token = 0;
	for (unsigned asked = 0; spf_check_next(check, &need); asked++) {
		struct spf_verdict none;
		ASSERT(asked < SPF_QUESTIONS_MAX && need.token > token && !spf_check_result(check, &none));
		check_name(need.name);
		ASSERT(need.type == DNS_TYPE_TXT || need.type == DNS_TYPE_A || need.type == DNS_TYPE_AAAA ||
			need.type == DNS_TYPE_MX || need.type == DNS_TYPE_PTR);
		ASSERT(spf_check_answer(check, token, SPF_DNS_FAILED, NULL) == ERR_STATE);
		token = need.token;
		if (asked == give_up) {
			spf_check_give_up(check);
			continue;
		}
		set_reply(game, &need, asked, &reply);
		ASSERT(spf_check_answer(check, need.token, reply.status, &reply.answer) == ERR_OK);
		ASSERT(spf_check_memory_bytes(check) <= SPF_MEMORY_MAX_BYTES + FIXED_BYTES);
	}
	for (size_t i = 0; i < RECORDS_MAX; i++)
		buf_clear(&reply.names[i]);
}

static void check_verdict(const struct spf_verdict *verdict)
{
	bool is_error = verdict->result == SPF_TEMPERROR || verdict->result == SPF_PERMERROR;
	ASSERT(is_error == (verdict->problem != NULL));
	ASSERT(verdict->result == SPF_FAIL || verdict->explanation.len == 0);
	ASSERT(verdict->explanation.len <= SPF_EXPLANATION_MAX_BYTES);
	for (size_t i = 0; i < verdict->explanation.len; i++)
		ASSERT(ascii_is_printable(verdict->explanation.ptr[i]));
	ASSERT(verdict->questions <= SPF_QUESTIONS_MAX);
	/* One more is where the error is seen. */
	ASSERT(verdict->lookups <= SPF_LOOKUPS_MAX + 1 && verdict->void_lookups <= SPF_VOID_LOOKUPS_MAX + 1);
	ASSERT(verdict->result != SPF_NONE || verdict->lookups == 0);
}

static void check_line(struct view line)
{
	for (size_t i = 0; i < line.len; i++)
		ASSERT(ascii_is_printable(line.ptr[i]) || (line.ptr[i] == '\t' && i == 0));
}

static void check_fields(const struct spf_question *question, const struct spf_verdict *verdict)
{
	struct buf out = { 0 };
	ASSERT(spf_format_received(question, verdict, &out) == ERR_OK);
	struct view rest = buf_view(&out), line;
	ASSERT(view_ends_with_nocase(rest, VIEW("\r\n")));
	for (bool is_first = true; view_split(&rest, '\n', &line); is_first = false) {
		ASSERT(line.len > 2 && line.len <= 998 && line.ptr[line.len - 1] == '\r');
		ASSERT(is_first || line.ptr[0] == '\t');
		check_line(view_sub(line, 0, line.len - 1));
	}
	buf_reset(&out);
	ASSERT(spf_format_result(question, verdict, &out) == ERR_OK);
	check_line(buf_view(&out));
	buf_clear(&out);
}

static bool is_same(const struct spf_verdict *a, const struct spf_verdict *b)
{
	return a->result == b->result && a->identity == b->identity && a->problem == b->problem &&
		view_eq(a->domain, b->domain) && view_eq(a->term, b->term) && view_eq(a->term_domain, b->term_domain) &&
		view_eq(a->explanation, b->explanation) && a->lookups == b->lookups &&
		a->void_lookups == b->void_lookups && a->questions == b->questions;
}

static void check_game(const struct game *game)
{
	struct spf_verdict first, other;
	struct spf_check *check = spf_check_new(&game->question), *again = spf_check_new(&game->question);
	play(game, check, SPF_QUESTIONS_MAX);
	play(game, again, SPF_QUESTIONS_MAX);
	ASSERT(spf_check_result(check, &first) && spf_check_result(again, &other));
	ASSERT(is_same(&first, &other));
	check_verdict(&first);
	check_fields(&game->question, &first);
	spf_check_free(again);
	again = spf_check_new(&game->question);
	play(game, again, first.questions / 2);
	ASSERT(spf_check_result(again, &other));
	check_verdict(&other);
	ASSERT(first.questions == 0 || other.result == SPF_TEMPERROR || other.result == first.result);
	spf_check_free(again);
	spf_check_free(check);
}

static void check_expansion(const struct game *game, struct view spec, struct buf *out)
{
	struct spf_values values = { .ip = game->question.ip,
		.local = view_sub(game->question.local, 0, SPF_FIELD_MAX_BYTES),
		.sender_domain = view_sub(game->question.domain, 0, SPF_FIELD_MAX_BYTES),
		.domain = VIEW("example.org"),
		.validated = VIEW("unknown"),
		.helo = view_sub(game->question.helo, 0, SPF_FIELD_MAX_BYTES) };
	enum err err = spf_macro_expand_domain(spec, &values, out);
	ASSERT(err == ERR_OK || (err == ERR_UNSUPPORTED && !view_is_ascii(values.local)));
	ASSERT(err != ERR_OK || out->len <= SPF_NAME_MAX_BYTES);
}

static void check_record(const struct game *game, struct view text)
{
	struct spf_record record;
	struct spf_fault fault;
	struct spf_term term;
	if (!spf_record_parse(text, &record, &fault)) {
		ASSERT(fault.problem != NULL && fault.term.len <= text.len);
		return;
	}
	struct buf out = { 0 };
	buf_init(&out, SPF_TARGET_MAX_BYTES);
	struct view rest = record.terms;
	const uint8_t *end = record.terms.ptr;
	while (spf_record_next(&rest, &term)) {
		ASSERT(term.text.len > 0 && term.text.ptr >= end);
		end = term.text.ptr + term.text.len;
		ASSERT(end <= text.ptr + text.len && term.prefix4_bits <= 32 && term.prefix6_bits <= 128);
		if (term.domain_spec.len > 0)
			check_expansion(game, term.domain_spec, &out);
	}
	if (record.redirect.len > 0)
		check_expansion(game, record.redirect, &out);
	buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct game game;
	set_game(view_of(data, size), &game);
	check_game(&game);
	for (size_t i = 0; i < game.answer_count; i++) {
		struct view rest = game.answers[i], text;
		while (view_split(&rest, '|', &text))
			check_record(&game, text);
	}
	return 0;
}
