/*
 * The receiver engine against two suites that others made, read where they are: byte sequences of SMTP smuggling, and chasquid's dialogues.
 * Prints one CONFORMANCE line for each, and names what does not pass, with the reason. Fails if that is anything but what is listed
 * here as known. Exit 77 without the suites (set POSTRIDER_SUITES).
 */
#include "smtp/conformance_cmy.h"
#include "smtp/receiver_driver.h"

#include <dirent.h>
#include <jansson.h>
#include <string.h>

enum { EXIT_SKIPPED = 77 };

static const size_t pieces[] = { SIZE_MAX, 1, 5 };

/* ---- Where the suites are ---- */

static void put(struct buf *buf, struct view bytes)
{
	ASSERT(buf_append(buf, bytes) == ERR_OK);
}

/* POSTRIDER_SUITES, else ../shared/suites beside the source tree, told from __FILE__, which is relative to where the compiler ran. */
static void suites_path(const char *name, struct buf *out)
{
	const char *folder = getenv("POSTRIDER_SUITES");
	const char *here = __FILE__, *in_tree = strstr(here, "src/smtp/");
	if (folder != NULL)
		put(out, view_from_cstr(folder));
	else
		ASSERT(buf_append_format(out, "%.*s../shared/suites", in_tree != NULL ? (int)(in_tree - here) : 0,
			       here) == ERR_OK);
	put(out, VIEW("/"));
	put(out, view_from_cstr(name));
}

static bool read_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "rb");
	if (f == NULL)
		return false;
	uint8_t chunk[4096];
	size_t n;
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		put(out, view_of(chunk, n));
	fclose(f);
	return true;
}

/* ---- Smuggling vectors ---- */

struct score {
	unsigned passed, total;
};

static void count(struct score *score, const char *suite, const char *name, size_t index, const char *failure)
{
	score->total++;
	if (failure == NULL)
		score->passed++;
	else
		printf("%s: %s %zu: not passed: %s\n", suite, name, index, failure);
}

static void from_hex(const json_t *value, struct buf *out)
{
	struct view text = view_from_cstr(json_string_value(value));
	buf_reset(out);
	ASSERT(text.len % 2 == 0);
	for (size_t i = 0; i < text.len; i += 2) {
		int high = ascii_hex_value(text.ptr[i]), low = ascii_hex_value(text.ptr[i + 1]);
		ASSERT(high >= 0 && low >= 0);
		ASSERT(buf_append_byte(out, (uint8_t)(high * 16 + low)) == ERR_OK);
	}
}

static bool has(const struct buf *buf, const char *text)
{
	return buf->len > 0 && memmem(buf->ptr, buf->len, text, strlen(text)) != NULL;
}

static void begin(struct receiver_driver *driver, bool starttls, const char *commands)
{
	struct smtp_receiver_options options;
	smtp_receiver_options_init(&options);
	options.hostname = VIEW("mx.example.test");
	options.starttls = starttls;
	receiver_driver_init(driver, &options);
	receiver_driver_pump(driver);
	receiver_driver_feed(driver, view_from_cstr(commands), SIZE_MAX);
	buf_reset(&driver->out);
	buf_reset(&driver->events);
}

#define ENVELOPE "EHLO client.example.test\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<b@example.test>\r\n"

/* Behind the bytes comes an attacker's transaction: it must be seen if and only if the bytes end DATA. */
static const char *end_of_data(struct view bytes, bool ends, struct view attack, size_t piece)
{
	const char *failure = NULL;
	struct receiver_driver driver;
	begin(&driver, false, ENVELOPE "DATA\r\nSubject: x\r\n\r\nhello");
	receiver_driver_feed(&driver, bytes, piece);
	receiver_driver_feed(&driver, attack, piece);
	receiver_driver_feed(&driver, VIEW("NOOP\r\n"), piece);
	if (has(&driver.events, "MAIL <attacker@") != ends)
		failure = ends ? "the real end of the data was not seen" : "the attacker's transaction was run";
	else if (!ends && !view_starts_with(buf_view(&driver.out), VIEW("554 ")))
		failure = "the message was not refused";
	else if (!view_ends_with_nocase(buf_view(&driver.out), VIEW("250 2.0.0 Ok\r\n")))
		failure = "the session is out of step";
	receiver_driver_clear(&driver);
	return failure;
}

static const char *dot_stuffing(struct view in, struct view stored, size_t piece)
{
	struct receiver_driver driver;
	begin(&driver, false, ENVELOPE "DATA\r\n");
	receiver_driver_feed(&driver, in, piece);
	receiver_driver_feed(&driver, VIEW(".\r\n"), piece);
	bool same = view_eq(buf_view(&driver.message), stored) && has(&driver.out, "250 2.0.0 Queued");
	receiver_driver_clear(&driver);
	return same ? NULL : "other bytes were stored";
}

static const char *starttls_injection(struct view in, size_t piece)
{
	struct receiver_driver driver;
	begin(&driver, true, "EHLO client.example.test\r\n");
	receiver_driver_feed(&driver, in, piece);
	const char *failure = NULL;
	if (view_find(buf_view(&driver.out), '\n') + 1 != driver.out.len)
		failure = "not exactly one reply";
	else if (!driver.closed || has(&driver.events, "EHLO ") || has(&driver.events, "MAIL <"))
		failure = "injected commands were taken";
	receiver_driver_clear(&driver);
	return failure;
}

static const char *bdat(struct view chunk, size_t piece)
{
	struct receiver_driver driver;
	struct buf command = { 0 };
	begin(&driver, false, ENVELOPE);
	ASSERT(buf_append_format(&command, "BDAT %zu LAST\r\n", chunk.len) == ERR_OK);
	receiver_driver_feed(&driver, buf_view(&command), piece);
	receiver_driver_feed(&driver, chunk, piece);
	bool same = view_eq(buf_view(&driver.message), chunk) && has(&driver.out, "250 2.0.0 Queued") &&
		!has(&driver.events, "MAIL <");
	buf_clear(&command);
	receiver_driver_clear(&driver);
	return same ? NULL : "the chunk was not taken as content";
}

static void smuggling_case(struct score *score, const char *kind, size_t index, const json_t *item, struct view attack)
{
	static const char suite[] = "smtp-smuggling-vectors";
	struct buf a = { 0 }, b = { 0 };
	const char *failure = NULL;
	for (size_t p = 0; p < sizeof pieces / sizeof *pieces && failure == NULL; p++) {
		if (strcmp(kind, "end_of_data") == 0) {
			from_hex(json_object_get(item, "bytes_hex"), &a);
			failure = end_of_data(
				buf_view(&a), json_is_true(json_object_get(item, "ends_data")), attack, pieces[p]);
		} else if (strcmp(kind, "dot_stuffing") == 0) {
			from_hex(json_object_get(item, "in_hex"), &a);
			from_hex(json_object_get(item, "stored_hex"), &b);
			failure = dot_stuffing(buf_view(&a), buf_view(&b), pieces[p]);
		} else if (strcmp(kind, "starttls_injection") == 0) {
			failure = starttls_injection(
				view_from_cstr(json_string_value(json_object_get(item, "send_in_one_write"))),
				pieces[p]);
		} else {
			from_hex(json_object_get(item, "chunk_hex"), &a);
			failure = bdat(buf_view(&a), pieces[p]);
		}
	}
	buf_clear(&a);
	buf_clear(&b);
	count(score, suite, kind, index, failure);
}

/* False without the suite. */
static bool run_smuggling(bool *ret_fine)
{
	static const char *const kinds[] = { "end_of_data", "dot_stuffing", "starttls_injection", "bdat" };
	struct buf path = { 0 };
	struct score score = { 0, 0 };
	suites_path("smtp-smuggling-vectors/cases.json", &path);
	json_error_t error;
	json_t *root = json_load_file(buf_cstr(&path), 0, &error);
	if (root == NULL) {
		printf("SKIP: %s: %s (set POSTRIDER_SUITES)\n", buf_cstr(&path), error.text);
		buf_clear(&path);
		return false;
	}
	struct view attack = view_from_cstr(json_string_value(json_object_get(root, "payload_after")));
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		size_t index;
		const json_t *item;
		json_array_foreach(json_object_get(root, kinds[k]), index, item)
		{
			const char *protocol = json_string_value(json_object_get(item, "protocol"));
			if (protocol != NULL && strcmp(protocol, "smtp") != 0)
				printf("smtp-smuggling-vectors: %s %zu: not counted: it is for %s\n", kinds[k], index,
					protocol);
			else
				smuggling_case(&score, kinds[k], index, item, attack);
		}
	}
	json_decref(root);
	buf_clear(&path);
	printf("CONFORMANCE smtp-smuggling-vectors %u/%u\n", score.passed, score.total);
	*ret_fine = score.passed == score.total && score.total >= 25;
	return true;
}

/* ---- Dialogues ---- */

/* What is known not to agree, and why it stays so. */
static const struct {
	const char *file, *reason;
} known[] = {
	{ "auth_multi_dialog.cmy", "an unknown mechanism is answered 504 (RFC 4954 §4), there 534" },
	{ "auth_not_tls.cmy", "AUTH without TLS is answered 538 (RFC 4954 §6's 5.7.11), there 503" },
	{ "bad_data.cmy", "a malformed header line is let through by the engine, which does not read messages" },
	{ "bad_data_dot.cmy", "a bare LF is answered 554 and the session goes on, there 521 and it ends" },
	{ "bad_data_dot_2.cmy", "the same" },
	{ "bad_data_dot_on_message_too_big.cmy",
		"the size was passed first, and 552 says so; there 521 for the bare LF" },
	{ "bad_mail_from.cmy", "a malformed argument is answered 501 (RFC 5321 §4.2.2), there 500" },
	{ "bad_rcpt_to.cmy", "the same" },
	{ "line_too_long.cmy", "a long line is answered 500 (RFC 5321 §4.5.3.1.9), there 554" },
	{ "wrong_proto.cmy", "HTTP is answered 554, there 502" },
};

static const char *known_reason(const char *file)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(file, known[i].file) == 0)
			return known[i].reason;
	return NULL;
}

static int is_dialogue(const struct dirent *entry)
{
	return view_ends_with_nocase(view_from_cstr(entry->d_name), VIEW(".cmy"));
}

/* One dialogue, cut three ways, compared by the reply codes' first `digits`. What a `.verify` file beside it says is what must have been stored. */
static bool run_dialogue(const char *folder, const char *name, size_t digits, struct buf *ret_why)
{
	struct buf path = { 0 }, script = { 0 }, verify = { 0 };
	bool fine = true;
	ASSERT(buf_append_format(&path, "%s/%s", folder, name) == ERR_OK);
	ASSERT(read_file(buf_cstr(&path), &script));
	put(&path, VIEW(".verify"));
	bool has_verify = read_file(buf_cstr(&path), &verify);
	for (size_t p = 0; p < sizeof pieces / sizeof *pieces && fine; p++) {
		buf_reset(ret_why);
		fine = cmy_run(buf_view(&script), has_verify ? &verify : NULL, pieces[p], digits, ret_why);
	}
	buf_clear(&path);
	buf_clear(&script);
	buf_clear(&verify);
	return fine;
}

static bool run_dialogues(bool *ret_fine)
{
	struct buf path = { 0 }, why = { 0 };
	struct score score = { 0, 0 };
	struct dirent **entries;
	suites_path("smtp-chasquid-dialogs/t-12-minor_dialogs", &path);
	int n = scandir(buf_cstr(&path), &entries, is_dialogue, alphasort);
	if (n <= 0) {
		printf("SKIP: %s is not there (set POSTRIDER_SUITES)\n", buf_cstr(&path));
		buf_clear(&path);
		return false;
	}
	unsigned alike = 0;
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name, *reason = known_reason(name);
		bool fine = run_dialogue(buf_cstr(&path), name, 3, &why);
		score.total++;
		score.passed += fine;
		if (!fine) {
			printf("smtp-chasquid-dialogs: %s: not passed: %.*s%s%s\n", name, VIEW_ARG(buf_view(&why)),
				reason != NULL ? " -- " : "", reason != NULL ? reason : "");
			/* The digit that a client acts upon (RFC 5321 §4.2.1). */
			alike += run_dialogue(buf_cstr(&path), name, 1, &why);
		}
		if (fine == (reason != NULL)) {
			printf("smtp-chasquid-dialogs: %s: %s\n", name,
				fine ? "passes now: take it off the list" : "THIS IS NEW");
			*ret_fine = false;
		}
		free(entries[i]);
	}
	free(entries);
	printf("smtp-chasquid-dialogs: %u of those not passed agree in the first digit of each reply\n", alike);
	printf("CONFORMANCE smtp-chasquid-dialogs %u/%u\n", score.passed, score.total);
	buf_clear(&path);
	buf_clear(&why);
	return true;
}

int main(void)
{
	bool fine = true;
	bool smuggling_there = run_smuggling(&fine);
	bool dialogues_there = run_dialogues(&fine);
	if (!fine)
		return 1;
	return smuggling_there && dialogues_there ? 0 : EXIT_SKIPPED;
}
