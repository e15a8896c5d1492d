/*
 * The dearest messages that a stranger can send to the verifiers of DKIM and ARC: he chooses the signatures, the fields that they name, the keys that he
 * publishes, and the text that is canonicalised. Prints the CPU time that each takes of a loop: nothing is asserted.
 *   dkim_worst [rounds]
 * "longest" is the longest single call, between two of which the loop serves others; medians of the rounds, in milliseconds.
 */
#include "mailauth/arc_testing.h"

#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#undef ERR_STATE
#include <stdio.h>
#include <time.h>

enum {
	NOW_S = 1700000000,
	ROUNDS_DEFAULT = 5,
	ROUNDS_MAX = 101,
	KEYS_PER_NAME = 4, /* as many as are tried */
	HEADER_BYTES = 256 * 1024, /* as long as the server takes a header section */
	BODY_BYTES = 1024 * 1024,
	PIECE_BYTES = 64 * 1024,
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "dkim_worst: %s\n", what);
	exit(1);
}

static double cpu_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Of one round. */
enum phase { HEADERS, BODY, KEYS, PHASE_COUNT };
struct times {
	double phase[PHASE_COUNT], longest, sum;
};

static void note(struct times *times, enum phase phase, double start)
{
	double took = cpu_ms() - start;
	times->phase[phase] += took;
	times->sum += took;
	if (took > times->longest)
		times->longest = took;
}

/* A key pair and the records that stand at its names: some that are not it, and it last. */
struct keys {
	struct signature_private *key;
	struct buf records[KEYS_PER_NAME];
};

/* The largest key that is taken, with the dearest exponent. */
static struct signature_private *make_rsa(unsigned bits, unsigned exponent)
{
	EVP_PKEY *pkey = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM parameters[] = { OSSL_PARAM_construct_uint(OSSL_PKEY_PARAM_RSA_BITS, &bits),
		OSSL_PARAM_construct_uint(OSSL_PKEY_PARAM_RSA_E, &exponent), OSSL_PARAM_construct_end() };
	must(EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_CTX_set_params(ctx, parameters) == 1 &&
			EVP_PKEY_generate(ctx, &pkey) == 1,
		"no RSA key");
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	must(PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1, "no PEM");
	long length = BIO_get_mem_data(bio, &text);
	struct signature_private *key = NULL;
	must(signature_private_read_pem(view_of(text, (size_t)length), &key) == ERR_OK, "no key");
	BIO_free(bio);
	EVP_PKEY_free(pkey);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* Another key of the same kind: its public half with some of its bits turned over. */
static void write_decoy(const struct signature_private *key, unsigned which, struct buf *out)
{
	struct buf bytes = { 0 };
	must(signature_private_public(key, &bytes) == ERR_OK, "no public key");
	bytes.ptr[bytes.len / 2] ^= (uint8_t)(which + 1);
	bool is_rsa = signature_private_kind(key) == SIGNATURE_RSA;
	must(buf_append_format(out, "k=%s; p=", is_rsa ? "rsa" : "ed25519") == ERR_OK &&
			base64_encode(buf_view(&bytes), out) == ERR_OK,
		"no record");
	buf_clear(&bytes);
}

static void init_keys(struct keys *keys, struct signature_private *key)
{
	*keys = (struct keys){ .key = key };
	for (unsigned i = 0; i + 1 < KEYS_PER_NAME; i++)
		write_decoy(key, i, &keys->records[i]);
	must(dkim_record_format(key, 0, &keys->records[KEYS_PER_NAME - 1]) == ERR_OK, "no record");
}

static void clear_keys(struct keys *keys)
{
	signature_private_free(keys->key);
	for (size_t i = 0; i < KEYS_PER_NAME; i++)
		buf_clear(&keys->records[i]);
}

static void answer_of(const struct keys *keys, struct dns_record records[KEYS_PER_NAME], struct dns_answer *ret)
{
	*ret = (struct dns_answer){ .records = records, .record_count = KEYS_PER_NAME };
	for (size_t i = 0; i < KEYS_PER_NAME; i++)
		records[i] = (struct dns_record){ .type = DNS_TYPE_TXT, .data = buf_view(&keys->records[i]) };
}

/* Messages */

static void put(struct buf *out, const char *text)
{
	must(buf_append_cstr(out, text) == ERR_OK, "no memory");
}

static void put_many(struct buf *out, const char *crumb, size_t bytes)
{
	for (size_t end = out->len + bytes; out->len + strlen(crumb) <= end;)
		put(out, crumb);
}

/* Text of which canonicalisation changes every few bytes. */
static void put_body(struct buf *out)
{
	put(out, "\r\n");
	put_many(out, "a \t\r\n b  ", BODY_BYTES);
	put(out, "\r\n");
}

/* Long names that differ at their end only: each comparison of two goes through them. */
static void put_field_name(struct buf *out, size_t i)
{
	must(buf_append_format(out, "X-Name-As-Any-Other-%04zu", i) == ERR_OK, "no memory");
}

/* What the fields of a message are made for. */
enum shape {
	FEW, /* From and a few others */
	ONE_LONG, /* one field that has nearly all bytes, and is signed each time */
	MANY, /* thousands, hundreds of which are signed each time */
};
/* Fields below those of the signatures. */
static void put_fields(struct buf *out, enum shape shape, size_t signatures_bytes)
{
	put(out,
		"From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n"
		"Subject: Is dinner ready?\r\n");
	size_t left = HEADER_BYTES - out->len - signatures_bytes;
	if (shape == ONE_LONG) {
		put(out, "X-Long: ");
		put_many(out, "a \tb\r\n ", left - 64);
		put(out, "end\r\n");
	}
	for (size_t i = 0, end = out->len + left; shape == MANY && i < 4000 && out->len + 64 < end; i++) {
		put_field_name(out, i);
		put(out, ": x\r\n");
	}
}

static void put_names(struct buf *out, enum shape shape)
{
	put(out, "From");
	if (shape == ONE_LONG)
		put(out, ":X-Long");
	for (size_t i = 0; shape == MANY && i < 500; i++) {
		put(out, ":");
		put_field_name(out, i * 7);
	}
}

/* A message with so many signatures, which none of the keys made: each is tried. */
static void write_dkim(struct buf *out, const struct keys *keys, enum shape shape, unsigned count)
{
	static const char *const canons[] = { "relaxed/relaxed", "relaxed/simple" };
	struct buf bytes = { 0 };
	uint8_t digest[HASH_BYTES] = { 1 };
	must(signature_sign(keys->key, digest, &bytes) == ERR_OK, "no signature");
	bool is_rsa = signature_private_kind(keys->key) == SIGNATURE_RSA;
	for (unsigned i = 0; i < count; i++) {
		must(buf_append_format(out, "DKIM-Signature: v=1; a=%s; c=%s; d=example.com; s=s%u; l=%u; h=",
			     is_rsa ? "rsa-sha256" : "ed25519-sha256", canons[i % 2], i, i / 2) == ERR_OK,
			"no memory");
		put_names(out, shape);
		put(out, "; bh=");
		/* Of the first bytes of the body, so that the keys come into it: "a", " ", CRLF … in either form. */
		struct view front = i % 2 == 0 ? VIEW("\r\na\r\n b a") : VIEW("\r\na \t\r\n b");
		hash_once(view_sub(front, 0, i / 2), digest);
		must(base64_encode(view_of(digest, HASH_BYTES), out) == ERR_OK, "no memory");
		put(out, "; b=");
		must(base64_encode(buf_view(&bytes), out) == ERR_OK, "no memory");
		put(out, "\r\n");
	}
	put_fields(out, shape, 0);
	put(out, "\r\n");
	put_body(out);
	buf_clear(&bytes);
}

/* A message with a chain of so many sets, each with names of its own, that passes. */
static void write_arc(struct buf *out, const struct keys *keys, enum shape shape, unsigned count)
{
	struct view results[] = { VIEW("arc=pass") };
	put_fields(out, shape, count * 1800u);
	put(out, "\r\n");
	put_body(out);
	for (unsigned i = 0; i < count; i++) {
		static const struct dkim_sign_field fields[] = { { { (const uint8_t *)"From", 4 }, false },
			{ { (const uint8_t *)"X-Long", 6 }, false } };
		char selector[16];
		struct buf sealed = { 0 };
		snprintf(selector, sizeof selector, "s%u", i);
		struct arc_seal_options options = { .domain = VIEW("example.com"),
			.key = { view_from_cstr(selector), keys->key },
			.fields = fields,
			.field_count = 2,
			.now_s = NOW_S };
		struct arc_seal_finish finish = { .verdict = { .result = i > 0 ? ARC_PASS : ARC_NONE },
			.authserv_id = VIEW("mx.example.com"),
			.results = results,
			.result_count = 1 };
		must(testing_arc_seal(&options, &finish, buf_view(out), &sealed) == ERR_OK, "it does not seal");
		buf_clear(out);
		*out = sealed;
	}
}

/* Rounds */

static void run_dkim(struct view message, const struct keys *keys, struct times *times, struct buf *ret_result)
{
	const struct dkim_verify_options options = { .now_s = NOW_S };
	struct dns_record records[KEYS_PER_NAME];
	struct dns_answer answer;
	struct dkim_need need;
	struct view body = testing_body(message);
	answer_of(keys, records, &answer);
	double start = cpu_ms();
	struct dkim_verifier *v = dkim_verifier_new(&options);
	must(dkim_verifier_headers(v, view_sub(message, 0, message.len - body.len)) == ERR_OK, "no headers");
	note(times, HEADERS, start);
	while (dkim_verifier_next(v, &need)) {
		start = cpu_ms();
		must(dkim_verifier_answer(v, need.token, DKIM_DNS_OK, &answer) == ERR_OK, "no answer");
		note(times, KEYS, start);
	}
	for (; body.len > 0; body = view_from(body, PIECE_BYTES)) {
		start = cpu_ms();
		must(dkim_verifier_body(v, view_sub(body, 0, PIECE_BYTES)) == ERR_OK, "no body");
		note(times, BODY, start);
	}
	/* The keys were answered before: everything is judged in this call. */
	start = cpu_ms();
	must(dkim_verifier_end(v) == ERR_OK && dkim_verifier_is_done(v), "no end");
	note(times, KEYS, start);
	struct dkim_signature signature;
	buf_reset(ret_result);
	for (size_t i = dkim_verifier_count(v) - 1; i<dkim_verifier_count(v); i -= i> 0 ? i : 1) {
		must(dkim_verifier_result(v, i, &signature), "no result");
		must(buf_append_format(ret_result, "%s%s",
			     ret_result->len > 0 ? "; first: " : "last: ", signature.reason) == ERR_OK,
			"no memory");
	}
	start = cpu_ms();
	dkim_verifier_free(v);
	note(times, KEYS, start);
}

static void run_arc(struct view message, const struct keys *keys, struct times *times, struct buf *ret_result)
{
	const struct dkim_verify_options options = { .now_s = NOW_S };
	struct dns_record records[KEYS_PER_NAME];
	struct dns_answer answer;
	struct dkim_need need;
	struct view body = testing_body(message);
	answer_of(keys, records, &answer);
	double start = cpu_ms();
	struct arc_verifier *v = arc_verifier_new(&options);
	must(arc_verifier_headers(v, view_sub(message, 0, message.len - body.len)) == ERR_OK, "no headers");
	note(times, HEADERS, start);
	while (arc_verifier_next(v, &need)) {
		start = cpu_ms();
		must(arc_verifier_answer(v, need.token, DKIM_DNS_OK, &answer) == ERR_OK, "no answer");
		note(times, KEYS, start);
	}
	for (; body.len > 0; body = view_from(body, PIECE_BYTES)) {
		start = cpu_ms();
		must(arc_verifier_body(v, view_sub(body, 0, PIECE_BYTES)) == ERR_OK, "no body");
		note(times, BODY, start);
	}
	start = cpu_ms();
	must(arc_verifier_end(v) == ERR_OK, "no end");
	note(times, KEYS, start);
	struct arc_verdict verdict;
	must(arc_verifier_verdict(v, &verdict), "no verdict");
	buf_reset(ret_result);
	struct view name = arc_result_name(verdict.result);
	must(buf_append_format(ret_result, "%.*s%s%s, oldest-pass=%u", VIEW_ARG(name),
		     verdict.reason != NULL ? ": " : "", verdict.reason != NULL ? verdict.reason : "",
		     verdict.oldest_pass) == ERR_OK,
		"no memory");
	start = cpu_ms();
	arc_verifier_free(v);
	note(times, KEYS, start);
}

static int compare_times(const void *a, const void *b)
{
	const struct times *x = a, *y = b;
	return (x->longest > y->longest) - (x->longest < y->longest);
}

static void measure(const char *name, bool is_arc, struct view message, const struct keys *keys, size_t rounds)
{
	static struct times times[ROUNDS_MAX];
	struct buf result = { 0 };
	for (size_t i = 0; i < rounds; i++) {
		times[i] = (struct times){ .sum = 0 };
		(is_arc ? run_arc : run_dkim)(message, keys, &times[i], &result);
	}
	qsort(times, rounds, sizeof times[0], compare_times);
	const struct times *t = &times[rounds / 2];
	printf("%-26s %8.2f %8.2f %8.2f %8.2f %8.2f   %s\n", name, t->phase[HEADERS], t->phase[BODY], t->phase[KEYS],
		t->sum, t->longest, buf_cstr(&result));
	fflush(stdout);
	buf_clear(&result);
}

int main(int argc, char **argv)
{
	uint64_t rounds = ROUNDS_DEFAULT;
	if (argc > 2 || (argc == 2 && view_parse_u64(view_from_cstr(argv[1]), ROUNDS_MAX, &rounds) != ERR_OK) ||
		rounds == 0) {
		fprintf(stderr, "usage: dkim_worst [rounds, at most %d]\n", ROUNDS_MAX);
		return 64;
	}
	static const struct {
		const char *name;
		bool is_rsa, is_arc;
		unsigned bits, exponent;
		enum shape shape;
		unsigned count;
	} works[] = { { "dkim rsa4096", true, false, 4096, 4294967291u, FEW, 10 },
		{ "dkim rsa2048", true, false, 2048, 65537, FEW, 10 }, { "dkim ed25519", false, false, 0, 0, FEW, 10 },
		{ "dkim rsa4096 long field", true, false, 4096, 4294967291u, ONE_LONG, 10 },
		{ "dkim rsa4096 many fields", true, false, 4096, 4294967291u, MANY, 10 },
		{ "arc rsa4096 50 sets", true, true, 4096, 4294967291u, ONE_LONG, 49 },
		{ "arc rsa2048 50 sets", true, true, 2048, 65537, FEW, 49 },
		{ "arc ed25519 50 sets", false, true, 0, 0, ONE_LONG, 49 },
		{ "arc rsa4096 3 sets", true, true, 4096, 4294967291u, FEW, 3 } };
	printf("%-26s %8s %8s %8s %8s %8s\n", "ms", "headers", "body", "keys", "all", "longest");
	for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
		struct signature_private *key = NULL;
		struct buf message = { 0 };
		struct keys keys;
		if (works[i].is_rsa)
			key = make_rsa(works[i].bits, works[i].exponent);
		else
			must(signature_generate(SIGNATURE_ED25519, 0, &key) == ERR_OK, "no key");
		init_keys(&keys, key);
		(works[i].is_arc ? write_arc : write_dkim)(&message, &keys, works[i].shape, works[i].count);
		measure(works[i].name, works[i].is_arc, buf_view(&message), &keys, (size_t)rounds);
		buf_clear(&message);
		clear_keys(&keys);
	}
	return 0;
}
