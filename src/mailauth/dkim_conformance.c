/*
 * DKIM against four suites of others: chasquid's messages with their results, dkimpy's messages, keys and expectations, mail-auth's
 * signed messages, and flanker's canonicalisations. Line ends become CRLF, as on the wire.
 */
#include "mail/conformance.h"
#include "mail/encode.h"
#include "mailauth/dkim_private.h"
#include "mailauth/dkim_testing.h"

static unsigned passed, total, wrong;
static bool is_any_there;

static void count_case(bool ok, const char *suite, const char *name, const char *dispute)
{
	total++;
	passed += ok;
	if (ok)
		return;
	wrong += dispute == NULL;
	printf("%s %s: %s\n", suite, name, dispute != NULL ? dispute : "WRONG");
}

static void end_suite(const char *suite)
{
	printf("CONFORMANCE %s %u/%u\n", suite, passed, total);
	wrong += total == 0;
	passed = total = 0;
}

/* A file of a suite, with CRLF if asked; false if it is not there. */
static bool read_file(const char *suite, const char *name, bool with_crlf, struct buf *out)
{
	struct buf path = { 0 }, raw = { 0 };
	suites_folder(__FILE__, &path);
	testing_must(buf_append_format(&path, "/%s/%s", suite, name) == ERR_OK);
	bool there = read_suite_file(buf_cstr(&path), &raw);
	buf_reset(out);
	if (there && with_crlf)
		testing_crlf(buf_view(&raw), out);
	else if (there)
		testing_must(buf_append(out, buf_view(&raw)) == ERR_OK);
	buf_clear(&path);
	buf_clear(&raw);
	return there;
}

static void must_read(const char *suite, const char *name, bool with_crlf, struct buf *out)
{
	if (!read_file(suite, name, with_crlf, out)) {
		printf("%s: %s is missing\n", suite, name);
		exit(1);
	}
}

static bool is_there(const char *suite)
{
	struct buf source = { 0 };
	bool there = read_file(suite, "SOURCE.txt", false, &source);
	buf_clear(&source);
	if (!there)
		printf("SKIP: %s is not there (set POSTRIDER_SUITES)\n", suite);
	is_any_there |= there;
	return there;
}

/* ---- chasquid: NN-name.msg, .dns, and .result or .error ---- */

struct zone {
	size_t count;
	struct testing_record records[TESTING_RECORDS_MAX];
	struct buf names[TESTING_RECORDS_MAX], texts[TESTING_RECORDS_MAX];
};

static void zone_add(struct zone *zone, struct view name, struct view text)
{
	testing_must(zone->count < TESTING_RECORDS_MAX);
	testing_must(buf_append(&zone->names[zone->count], name) == ERR_OK);
	testing_must(buf_append(&zone->texts[zone->count], view_trim(text)) == ERR_OK);
	zone->count++;
}

static void zone_end(struct zone *zone)
{
	size_t kept = 0;
	for (size_t i = 0; i < zone->count; i++) {
		struct view text = buf_view(&zone->texts[i]);
		/* A permanent error is as good as no record. */
		if (view_eq(text, VIEW("PERMERROR")))
			continue;
		zone->records[kept++] = (struct testing_record){ buf_cstr(&zone->names[i]),
			view_eq(text, VIEW("TEMPERROR")) ? NULL : buf_cstr(&zone->texts[i]) };
	}
	zone->count = kept;
}

static void zone_clear(struct zone *zone)
{
	for (size_t i = 0; i < TESTING_RECORDS_MAX; i++) {
		buf_clear(&zone->names[i]);
		buf_clear(&zone->texts[i]);
	}
	memset(zone, 0, sizeof *zone);
}

/* "name: \" and lines of text, each ending with a backslash where the text goes on. */
static void read_zone(struct view text, struct zone *zone)
{
	struct view line;
	bool goes_on = false;
	while (view_split(&text, '\n', &line)) {
		line = view_trim(line);
		if (line.len == 0)
			continue;
		struct view rest = line;
		if (!goes_on) {
			size_t colon = view_find(line, ':');
			zone_add(zone, view_sub(line, 0, colon), VIEW_NONE);
			rest = view_from(line, colon + 1);
		}
		goes_on = line.ptr[line.len - 1] == '\\';
		rest = view_trim(view_sub(rest, 0, rest.len - goes_on));
		testing_must(buf_append(&zone->texts[zone->count - 1], rest) == ERR_OK);
	}
	zone_end(zone);
}

/* The number behind "key": in JSON; 0 if there is none. */
static size_t number_in(struct view json, const char *key)
{
	const uint8_t *at = json.len > 0 ? memmem(json.ptr, json.len, key, strlen(key)) : NULL;
	if (at == NULL)
		return 0;
	struct view rest = view_trim(view_from(json, (size_t)(at - json.ptr) + strlen(key)));
	uint64_t n = 0;
	testing_must(view_parse_u64(view_sub(rest, 0, view_find(rest, ',')), 100, &n) == ERR_OK);
	return (size_t)n;
}

static void chasquid(void)
{
	static const char suite[] = "dkim-chasquid";
	static const char *const names[] = { "01-rfc8463", "02-too_many_headers", "03-bad_message",
		"04-bad_dkim_signature_header", "05-dns_temp_error", "06-dns_perm_error", "07-algo_mismatch",
		"08-our_signature", "09-limited_body", "10-strict_domain_check_pass", "11-strict_domain_check_fail" };
	/* It looks at five signatures, so this does here. */
	const struct dkim_verify_options options = { .now_s = 1710000000, .signatures_max = 5 };
	struct buf message = { 0 }, text = { 0 }, name = { 0 };
	if (!is_there(suite))
		return;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		static struct zone zone;
		buf_reset(&name);
		testing_must(buf_append_format(&name, "%s.msg", names[i]) == ERR_OK);
		must_read(suite, buf_cstr(&name), true, &message);
		name.len -= 3;
		testing_must(buf_append_cstr(&name, "dns") == ERR_OK);
		if (read_file(suite, buf_cstr(&name), false, &text))
			read_zone(buf_view(&text), &zone);
		name.len -= 3;
		testing_must(buf_append_cstr(&name, "result") == ERR_OK);
		buf_reset(&text);
		/* Without a result the message is not taken at all: then nothing may pass. */
		bool has_result = read_file(suite, buf_cstr(&name), false, &text);
		struct dkim_verifier *verifier = testing_verify(
			&options, buf_view(&message), 0, zone.records, zone.count);
		bool ok = testing_passes(verifier) == number_in(buf_view(&text), "\"Valid\":") &&
			(!has_result || dkim_verifier_count(verifier) == number_in(buf_view(&text), "\"Found\":"));
		count_case(ok, suite, names[i], NULL);
		dkim_verifier_free(verifier);
		zone_clear(&zone);
	}
	buf_clear(&message);
	buf_clear(&text);
	buf_clear(&name);
	end_suite(suite);
}

/* ---- mail-auth: "name record" lines, an empty line, a message; every signature is valid ---- */

static void mail_auth(void)
{
	static const char suite[] = "dkim-mail-auth";
	static const struct {
		const char *name;
		size_t signatures;
	} files[] = { { "001.txt", 2 }, { "002.txt", 1 }, { "003.txt", 2 }, { "004.txt", 1 }, { "005.txt", 1 },
		{ "006.txt", 1 } };
	/* One of them has an x=: a moment when none had expired. */
	const struct dkim_verify_options options = { .now_s = 1667900000 };
	struct buf text = { 0 };
	if (!is_there(suite))
		return;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		static struct zone zone;
		must_read(suite, files[i].name, true, &text);
		struct view rest = buf_view(&text), line;
		while (view_split(&rest, '\n', &line) && view_trim(line).len > 0) {
			size_t blank = view_find(line, ' ');
			zone_add(&zone, view_sub(line, 0, blank), view_from(line, blank + 1));
		}
		zone_end(&zone);
		struct dkim_verifier *verifier = testing_verify(&options, rest, 0, zone.records, zone.count);
		for (size_t k = 0; k < files[i].signatures; k++) {
			struct dkim_signature signature = { .reason = "not found" };
			bool ok = dkim_verifier_result(verifier, k, &signature) && signature.result == DKIM_PASS;
			count_case(ok, suite, files[i].name, NULL);
		}
		dkim_verifier_free(verifier);
		zone_clear(&zone);
	}
	buf_clear(&text);
	end_suite(suite);
}

/* ---- dkimpy: messages and keys; what is expected of them stands in its tests, and here ---- */

static const char dkimpy[] = "dkim-dkimpy";
/* The keys that its tests answer with: of the message of 2013 and of Exim's. */
static const char gmail_record[] =
	"k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1Kd87/UeJjenpabgbFwh+eBCsSTrqmwIYYvywlbhbqoo2DymndFkbjOV"
	"IPIldNs/"
	"m40KF+yzMn1skyoxcTUGCQs8g3FgD2Ap3ZB5DekAo5wMmk4wimDO+U8QzI3SD07y2+07wlNWwIt8svnxgdxGkVbbhzY8i+RQ9DpSVpP"
	"bF7ykQxtKXkv/"
	"ahW3KjViiAH+ghvvIhkx4xYSIc9oSwVmAl5OctMEeWUwg8Istjqz8BZeTWbf41fbNhte7Y+YqZOwq1Sd0DbvYAD9NOZK9vlfuac"
	"0598HY+vtSBczUiKERHv1yRbcaQtZFh5wtiRrN04BLUTD21MycBX5jYchHjPY/wIDAQAB";

static const struct dkim_verify_options dkimpy_options = { .now_s = 1700000000 };

static const struct {
	enum dkim_canon header, body;
	const char *name;
} canons[] = { { DKIM_SIMPLE, DKIM_SIMPLE, "simple/simple" }, { DKIM_SIMPLE, DKIM_RELAXED, "simple/relaxed" },
	{ DKIM_RELAXED, DKIM_SIMPLE, "relaxed/simple" }, { DKIM_RELAXED, DKIM_RELAXED, "relaxed/relaxed" } };

static size_t passes(struct view message, const struct testing_record *records, size_t count)
{
	struct dkim_verifier *verifier = testing_verify(&dkimpy_options, message, 0, records, count);
	size_t n = testing_passes(verifier);
	dkim_verifier_free(verifier);
	return n;
}

/* Messages that came signed. */
static void dkimpy_signed(void)
{
	static const struct {
		const char *file, *name, *record;
	} files[] = { { "ed25519test2.msg", "sed._domainkey.test.ex", "eximtest.dns" },
		{ "test2.message", "20120113._domainkey.gmail.com", NULL } };
	static const struct testing_record rfc[] = {
		{ "brisbane._domainkey.football.example.com", TESTING_ED25519_RECORD },
		{ "test._domainkey.football.example.com", TESTING_RSA_RECORD },
	};
	struct buf message = { 0 }, record = { 0 };
	must_read(dkimpy, "rfc6376.signed.msg", true, &message);
	count_case(passes(buf_view(&message), rfc, 2) == 2, dkimpy, "rfc6376.signed.msg", NULL);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		must_read(dkimpy, files[i].file, true, &message);
		if (files[i].record != NULL)
			must_read(dkimpy, files[i].record, false, &record);
		record.len = view_trim(buf_view(&record)).len;
		const struct testing_record one = { files[i].name,
			files[i].record != NULL ? buf_cstr(&record) : gmail_record };
		count_case(passes(buf_view(&message), &one, 1) == 1, dkimpy, files[i].file, NULL);
	}
	buf_clear(&message);
	buf_clear(&record);
}

static struct signature_private *read_key(const char *name)
{
	struct buf text = { 0 }, seed = { 0 };
	struct signature_private *key = NULL;
	must_read(dkimpy, name, false, &text);
	if (view_starts_with(buf_view(&text), VIEW("-----")))
		testing_must(signature_private_read_pem(buf_view(&text), &key) == ERR_OK);
	else
		testing_must(base64_decode(view_trim(buf_view(&text)), &seed) == ERR_OK &&
			signature_private_read_raw(buf_view(&seed), &key) == ERR_OK);
	buf_clear(&text);
	buf_clear(&seed);
	return key;
}

/* Puts a field or text into a signed message; true if its signature is still valid. */
static bool passes_changed(struct view message, size_t at, const char *text, const struct testing_record *record)
{
	struct buf changed = { 0 };
	testing_must(buf_append(&changed, view_sub(message, 0, at)) == ERR_OK);
	testing_must(buf_append_cstr(&changed, text) == ERR_OK);
	testing_must(buf_append(&changed, view_from(message, at)) == ERR_OK);
	bool ok = passes(buf_view(&changed), record, 1) == 1;
	buf_clear(&changed);
	return ok;
}

/* Signed by us with its keys and verified against its records: in every canonicalisation, changed and unchanged. */
static void dkimpy_round_trip(const char *file, const char *key_file, const char *record_file, bool is_good)
{
	static const char extra_from[] = "From: \"Resident Evil\" <sales@spammer.com>\r\n";
	struct buf message = { 0 }, text = { 0 }, name = { 0 };
	struct signature_private *key = read_key(key_file);
	must_read(dkimpy, file, true, &message);
	must_read(dkimpy, record_file, false, &text);
	text.len = view_trim(buf_view(&text)).len;
	const struct testing_record record = { "test._domainkey.example.com", buf_cstr(&text) };
	const struct dkim_sign_key with = { VIEW("test"), key };
	for (size_t i = 0; i < sizeof canons / sizeof canons[0]; i++) {
		const struct dkim_sign_options options = { .domain = VIEW("example.com"),
			.key_count = 1,
			.keys = &with,
			.header_canon = canons[i].header,
			.body_canon = canons[i].body,
			.now_s = 1600000000 };
		struct buf out = { 0 };
		testing_must(testing_sign(&options, buf_view(&message), 0, &out) == ERR_OK);
		struct view whole = buf_view(&out);
		size_t header_end = header_section_length(whole) - 2;
		buf_reset(&name);
		testing_must(buf_append_format(&name, "%s %s %s", file, record_file, canons[i].name) == ERR_OK);
		count_case((passes(whole, &record, 1) == 1) == is_good, dkimpy, buf_cstr(&name), NULL);
		if (is_good) {
			bool ok = !passes_changed(whole, whole.len, "foo", &record) &&
				!passes_changed(whole, header_end, extra_from, &record) &&
				!passes_changed(whole, 0, extra_from, &record) &&
				passes_changed(whole, header_end, "X-Foo: bar\r\n", &record);
			testing_must(buf_append_cstr(&name, " changed") == ERR_OK);
			count_case(ok, dkimpy, buf_cstr(&name), NULL);
		}
		buf_clear(&out);
	}
	buf_clear(&message);
	buf_clear(&text);
	buf_clear(&name);
	signature_private_free(key);
}

/* Fields that occur several times, all of them signed. */
static void dkimpy_all_fields(void)
{
	struct buf message = { 0 };
	struct signature_private *key = read_key("test.private");
	const struct dkim_sign_key with = { VIEW("test"), key };
	static const struct testing_record record = { "test._domainkey.example.com", TESTING_RSA_RECORD };
	const struct dkim_sign_field fields[] = { { VIEW("From"), false }, { VIEW("Received"), false },
		{ VIEW("Delivered-To"), true }, { VIEW("X-Status"), false } };
	must_read(dkimpy, "message.mbox", true, &message);
	for (size_t i = 0; i < sizeof canons / sizeof canons[0]; i++) {
		const struct dkim_sign_options options = { .domain = VIEW("example.com"),
			.key_count = 1,
			.keys = &with,
			.field_count = 4,
			.fields = fields,
			.header_canon = canons[i].header,
			.body_canon = canons[i].body,
			.now_s = 1600000000 };
		struct buf out = { 0 };
		testing_must(testing_sign(&options, buf_view(&message), 0, &out) == ERR_OK);
		count_case(passes(buf_view(&out), &record, 1) == 1, dkimpy, "message.mbox", NULL);
		buf_clear(&out);
	}
	buf_reset(&message);
	must_read(dkimpy, "test_nofrom.message", true, &message);
	const struct dkim_sign_options options = { .domain = VIEW("example.com"), .key_count = 1, .keys = &with };
	struct buf out = { 0 };
	count_case(testing_sign(&options, buf_view(&message), 0, &out) == ERR_REFUSED && out.len == 0, dkimpy,
		"test_nofrom.message", NULL);
	buf_clear(&out);
	buf_clear(&message);
	signature_private_free(key);
}

static void dkimpy_suite(void)
{
	if (!is_there(dkimpy))
		return;
	dkimpy_signed();
	dkimpy_round_trip("test.message", "test.private", "test.txt", true);
	dkimpy_round_trip("test.message", "test2.private", "test2.txt", true);
	dkimpy_round_trip("test_extra.message", "test.private", "test.txt", true);
	dkimpy_round_trip("rfc6376.msg", "test.private", "test.txt", true);
	dkimpy_round_trip("ed25519test.msg", "ed25519test.key", "ed25519test.dns", true);
	dkimpy_round_trip("test.message", "test.private", "badk.txt", false);
	dkimpy_round_trip("test.message", "test.private", "badversion.txt", false);
	dkimpy_round_trip("test.message", "test.private", "test_bad.txt", false);
	dkimpy_round_trip("test.message", "test.private", "test_tlsrpt.txt", false);
	dkimpy_all_fields();
	end_suite(dkimpy);
}

/* ---- flanker: canonical text, header section and body; equal digests mean equal text ---- */

static bool has_digest(struct view text, const uint8_t digest[HASH_BYTES])
{
	uint8_t want[HASH_BYTES];
	hash_once(text, want);
	return memcmp(want, digest, HASH_BYTES) == 0;
}

static bool canonical_is(enum dkim_canon canon, struct view message, struct view want)
{
	struct dkim_sink sink;
	struct dkim_body body;
	struct header_field field;
	struct view rest = message;
	uint8_t digest[HASH_BYTES];
	dkim_sink_init(&sink);
	while (header_next(&rest, &field))
		dkim_canon_field(canon, &field, &sink);
	dkim_sink_finish(&sink, digest);
	dkim_sink_clear(&sink);
	dkim_body_init(&body, canon);
	body.wants_all = true;
	dkim_body_feed(&body, testing_body(message));
	dkim_body_end(&body);
	/* The empty line between the two belongs to neither. */
	struct view want_rest = want;
	while (header_next(&want_rest, &field))
		;
	bool ok = has_digest(view_sub(want, 0, want.len - want_rest.len), digest) &&
		has_digest(view_from(want_rest, 2), body.digest);
	dkim_body_clear(&body);
	return ok;
}

static void flanker(void)
{
	static const char suite[] = "dkim-canon-flanker";
	static const char *const names[] = { "simple", "relaxed" };
	struct buf message = { 0 }, want = { 0 }, name = { 0 };
	if (!is_there(suite))
		return;
	for (unsigned number = 1; number <= 25; number++) {
		buf_reset(&name);
		testing_must(buf_append_format(&name, "email.%02u", number) == ERR_OK);
		if (!read_file(suite, buf_cstr(&name), true, &message))
			continue;
		for (size_t i = 0; i < 2; i++) {
			buf_reset(&name);
			testing_must(buf_append_format(&name, "%s.expected.%02u", names[i], number) == ERR_OK);
			must_read(suite, buf_cstr(&name), false, &want);
			bool ok = canonical_is(
				i == 0 ? DKIM_SIMPLE : DKIM_RELAXED, buf_view(&message), buf_view(&want));
			count_case(ok, suite, buf_cstr(&name),
				number == 24 && i == 1
					? "it keeps lines of white space at the end, and adds a space; RFC 6376 §3.4.4 "
					  "drops what is at a line's end first, so these are empty lines at the end"
					: NULL);
		}
	}
	buf_clear(&message);
	buf_clear(&want);
	buf_clear(&name);
	end_suite(suite);
}

int main(void)
{
	chasquid();
	dkimpy_suite();
	mail_auth();
	flanker();
	if (!is_any_there)
		return EXIT_SKIP;
	return wrong == 0 ? 0 : 1;
}
