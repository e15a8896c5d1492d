#include "mailauth/spf_private.h"

/* RFC 5322 §2.1.1 would like lines under 78. */
enum { LINE_MAX_BYTES = 77, SHOWN_MAX_BYTES = 320 };

/* Words with a space or a fold before each. */
struct writer {
	struct buf *out;
	size_t line_begin;
	enum err err;
};

static void put(struct writer *w, struct view bytes)
{
	if (w->err == ERR_OK)
		w->err = buf_append(w->out, bytes);
}

static void put_byte(struct writer *w, uint8_t c)
{
	if (w->err == ERR_OK)
		w->err = buf_append_byte(w->out, c);
}

/* A word of `len` bytes comes. */
static void space(struct writer *w, size_t len)
{
	if (w->out->len - w->line_begin + 1 + len > LINE_MAX_BYTES) {
		put(w, VIEW("\r\n\t"));
		/* A tab may be shown as eight columns. */
		w->line_begin = w->out->len >= 8 ? w->out->len - 8 : 0;
	} else {
		put_byte(w, ' ');
	}
}

static bool is_atom_byte(uint8_t c)
{
	return ascii_is_alnum(c) || view_find(VIEW("!#$%&'*+-/=?^_`{|}~"), c) < 19;
}

static bool is_dot_atom(struct view v)
{
	uint8_t last = '.';
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] == '.' ? last == '.' : !is_atom_byte(v.ptr[i]))
			return false;
		last = v.ptr[i];
	}
	return last != '.';
}

/* As a quoted-string; what is not printable becomes "?". */
static void put_quoted(struct writer *w, struct view v)
{
	put_byte(w, '"');
	for (size_t i = 0; i < v.len && w->err == ERR_OK; i++) {
		uint8_t c = v.ptr[i];
		if (c == '"' || c == '\\')
			put_byte(w, '\\');
		put_byte(w, ascii_is_printable(c) ? c : '?');
	}
	put_byte(w, '"');
}

/* For a comment: no parentheses or backslashes of outsiders. */
static void put_shown(struct writer *w, struct view v)
{
	v = view_sub(v, 0, SHOWN_MAX_BYTES);
	for (size_t i = 0; i < v.len && w->err == ERR_OK; i++) {
		uint8_t c = v.ptr[i];
		bool is_plain = ascii_is_printable(c) && c != '(' && c != ')' && c != '\\' && c != ' ';
		put_byte(w, is_plain ? c : '?');
	}
}

/* RFC 7208 §9.1: key-value-pair, behind the result and its comment. */
static void put_pair(struct writer *w, struct view key, struct view value)
{
	value = view_sub(value, 0, SHOWN_MAX_BYTES);
	bool is_plain = is_dot_atom(value);
	space(w, key.len + value.len + (is_plain ? 2 : 4));
	put(w, key);
	put_byte(w, '=');
	if (is_plain)
		put(w, value);
	else
		put_quoted(w, value);
	put_byte(w, ';');
}

/* A sentence in pieces, each of which may stand on a line of its own. */
static void put_words(struct writer *w, const char *words)
{
	struct view rest = view_from_cstr(words), word;
	while (view_split(&rest, ' ', &word)) {
		space(w, word.len);
		put(w, word);
	}
}

static void put_word(struct writer *w, struct view outside)
{
	space(w, outside.len);
	put_shown(w, outside);
}

/* As a person would say it; the form that others write, too. */
static void put_comment(struct writer *w, const struct spf_verdict *verdict, struct view ip, struct view receiver)
{
	static const char *const sentences[SPF_RESULT_COUNT] = {
		[SPF_NONE] = "publishes no SPF record",
		[SPF_NEUTRAL] = "says neither yes nor no about",
		[SPF_PASS] = "permits",
		[SPF_FAIL] = "does not permit",
		[SPF_SOFTFAIL] = "would rather not permit",
		[SPF_TEMPERROR] = "could not be asked about",
		[SPF_PERMERROR] = "has a faulty SPF record about",
	};
	space(w, receiver.len + 2);
	put_byte(w, '(');
	put_shown(w, receiver);
	put_byte(w, ':');
	put_words(w, "domain of");
	put_word(w, verdict->domain.len > 0 ? verdict->domain : VIEW("an empty name"));
	put_words(w, sentences[verdict->result]);
	if (verdict->result != SPF_NONE)
		put_word(w, ip);
	put_byte(w, ')');
}

static struct view receiver_of(const struct spf_question *question)
{
	return question->receiver.len > 0 ? question->receiver : VIEW("unknown");
}

/* The address as text, in the form of values. */
static void format_ip(const struct spf_question *question, struct buf *out, enum err *err)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	struct view ip = question->ip;
	if (ip.len == 16 && view_starts_with(ip, view_of(mapped, sizeof mapped)))
		ip = view_from(ip, sizeof mapped);
	if (*err == ERR_OK)
		*err = spf_address_format(ip, out);
}

static void format_sender(const struct spf_question *question, struct buf *out, enum err *err)
{
	struct view pieces[] = { view_sub(question->local, 0, SPF_FIELD_MAX_BYTES), VIEW("@"),
		view_sub(question->domain, 0, SPF_FIELD_MAX_BYTES) };
	for (size_t i = 0; question->domain.len > 0 && i < 3 && *err == ERR_OK; i++)
		*err = buf_append(out, pieces[i]);
}

static void put_received(struct writer *w, const struct spf_question *question, const struct spf_verdict *verdict,
	struct view ip, struct view sender)
{
	bool is_helo = verdict->identity == SPF_HELO;
	put(w, VIEW("Received-SPF:"));
	space(w, 10);
	put(w, spf_result_name(verdict->result));
	put_comment(w, verdict, ip, receiver_of(question));
	put_pair(w, VIEW("receiver"), receiver_of(question));
	put_pair(w, VIEW("identity"), is_helo ? VIEW("helo") : VIEW("mailfrom"));
	put_pair(w, VIEW("client-ip"), ip);
	put_pair(w, VIEW("helo"), question->helo);
	put_pair(w, VIEW("envelope-from"), sender);
	if (verdict->problem != NULL)
		put_pair(w, VIEW("problem"), view_from_cstr(verdict->problem));
	if (verdict->result != SPF_NONE && verdict->problem == NULL)
		put_pair(w, VIEW("mechanism"), verdict->term.len > 0 ? verdict->term : VIEW("default"));

	put(w, VIEW("\r\n"));
}

enum err spf_format_received(const struct spf_question *question, const struct spf_verdict *verdict, struct buf *out)
{
	size_t before = out->len;
	struct buf ip = { 0 }, sender = { 0 };
	struct writer w = { out, before, ERR_OK };
	format_ip(question, &ip, &w.err);
	format_sender(question, &sender, &w.err);
	put_received(&w, question, verdict, buf_view(&ip), buf_view(&sender));
	buf_clear(&ip);
	buf_clear(&sender);
	if (w.err != ERR_OK)
		out->len = before;
	return w.err;
}

static bool is_host_name(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (!ascii_is_alnum(v.ptr[i]) && view_find(VIEW("-._"), v.ptr[i]) == 3)
			return false;
	return v.len > 0;
}

/* RFC 8601 §2.2: pvalue = value / [ [ local-part ] "@" ] domain-name. */
static void put_identity(struct writer *w, const struct spf_question *question, const struct spf_verdict *verdict)
{
	struct view domain = view_sub(verdict->domain, 0, SHOWN_MAX_BYTES);
	bool is_helo = verdict->identity == SPF_HELO;
	put(w, is_helo ? VIEW(" smtp.helo=") : VIEW(" smtp.mailfrom="));
	if (!is_host_name(domain)) {
		put_quoted(w, domain);
		return;
	}
	/* A local part that would need quotes says nothing that the domain doesn't. */
	if (!is_helo && question->local.len <= SHOWN_MAX_BYTES && is_dot_atom(question->local)) {
		put(w, question->local);
		put_byte(w, '@');
	}
	put(w, domain);
}

enum err spf_format_result(const struct spf_question *question, const struct spf_verdict *verdict, struct buf *out)
{
	size_t before = out->len;
	struct writer w = { out, before, ERR_OK };
	put(&w, VIEW("spf="));
	put(&w, spf_result_name(verdict->result));
	if (verdict->problem != NULL) {
		put(&w, VIEW(" reason="));
		put_quoted(&w, view_from_cstr(verdict->problem));
	}
	put_identity(&w, question, verdict);
	if (w.err != ERR_OK)
		out->len = before;
	return w.err;
}
