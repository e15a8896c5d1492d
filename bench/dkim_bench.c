/*
 * DKIM signatures made and verified per second, beside what OpenSSL alone needs for them: EVP's hash over the same bytes and its signature
 * with the same key, on contexts that are kept, as `openssl speed` does it. Ours has all the rest: selection and canonicalisation of the
 * header fields, the body's canonicalisation, building and parsing of the field and of the key record.
 * "EVP verify" has its key at hand, as `openssl speed` has. A key that was not seen before has to be made first, by whoever verifies: "EVP new key" is
 * what that takes of OpenSSL with the key's numbers at hand, and the second ratio of "new key" is against this.
 *   dkim_bench [rounds]
 * CPU time, so that others on the machine don't count; medians of rounds in which both take turns. Ends with `RATIO <work> <value>` lines.
 */
#include "mailauth/dkim_keys.h"
#include "mailauth/dkim_testing.h"

#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#undef ERR_STATE
#include <stdio.h>
#include <time.h>

enum { NOW_S = 1700000000, ROUNDS_DEFAULT = 15, ROUNDS_MAX = 101 };

static double cpu_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What one kind of key and one message need. */
struct work {
	const char *name;
	struct signature_private *key;
	EVP_PKEY *pkey; /* the same key */
	bool is_rsa;
	EVP_PKEY_CTX *sign_ctx, *verify_ctx; /* RSA */
	EVP_MD_CTX *sign_md, *verify_md; /* Ed25519 */
	BIGNUM *n, *e; /* RSA's numbers */
	uint8_t point[SIGNATURE_ED25519_KEY_BYTES]; /* Ed25519's */
	EVP_MD_CTX *hash;
	EVP_MD *sha256;
	struct buf message; /* without a signature */
	struct buf signed_message;
	size_t header_len, body_len; /* of the message */
	struct buf record;
	uint8_t signature[512];
	size_t signature_len;
	struct dkim_keys *keys;
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "dkim_bench: %s\n", what);
	exit(1);
}

/* As mail is: fields with folds, lines of text with an indentation here and there. */
static void write_message(struct buf *out, size_t body_bytes)
{
	static const char head[] =
		"Received: from client.example.com (client.example.com [192.0.2.1])\r\n\tby mx.example.net (Postrider) "
		"with ESMTPS id 0123456789\r\n"
		"\tfor <somebody@example.net>; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
		"From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n"
		"Subject: Is dinner ready? We lost the game, and are all of us rather hungry by now\r\n"
		"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\nMessage-ID: "
		"<20030712040037.46341.5F8J@football.example.com>\r\n"
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n"
		"X-Mailer: The Mailer 1.0\r\nReferences: <1@football.example.com> <2@football.example.com>\r\n\r\n";
	static const char *const lines[] = {
		"Hi. We lost the game, but it was a close one, and nobody minded much.\r\n",
		"    - the first half was ours,  the second was not;\r\n",
		"Are you hungry yet? The others will come at eight, or so they say; it may be nine.\r\n", "\r\n"
	};
	must(buf_append_cstr(out, head) == ERR_OK, "no memory");
	for (size_t i = 0, start = out->len; out->len - start < body_bytes; i++)
		must(buf_append_cstr(out, lines[i % 4]) == ERR_OK, "no memory");
}

static void sign_ours(struct work *w, struct buf *out)
{
	const struct dkim_sign_key with = { VIEW("mail"), w->key };
	const struct dkim_sign_options options = {
		.domain = VIEW("example.com"), .key_count = 1, .keys = &with, .now_s = NOW_S
	};
	struct dkim_signer *signer = NULL;
	must(dkim_signer_new(&options, &signer) == ERR_OK &&
			dkim_signer_headers(signer, buf_view(&w->message)) == ERR_OK &&
			dkim_signer_body(signer, view_from(buf_view(&w->message), w->header_len)) == ERR_OK &&
			dkim_signer_finish(signer, out) == ERR_OK,
		"it does not sign");
	dkim_signer_free(signer);
}

static void verify_ours(struct work *w, struct dkim_keys *keys)
{
	const struct testing_record record = { "mail._domainkey.example.com", buf_cstr(&w->record) };
	const struct dkim_verify_options options = { .now_s = NOW_S, .keys = keys };
	struct view message = buf_view(&w->signed_message);
	struct dkim_verifier *verifier = dkim_verifier_new(&options);
	must(dkim_verifier_headers(verifier, view_sub(message, 0, message.len - w->body_len)) == ERR_OK, "no headers");
	testing_answer_all(verifier, &record, 1);
	must(dkim_verifier_body(verifier, view_from(message, message.len - w->body_len)) == ERR_OK &&
			dkim_verifier_end(verifier) == ERR_OK && testing_passes(verifier) == 1,
		"it does not verify");
	dkim_verifier_free(verifier);
}

/* Header and body are two hashes, as in DKIM. */
static void hash_raw(struct work *w, struct view message, uint8_t digest[HASH_BYTES])
{
	must(EVP_DigestInit_ex2(w->hash, w->sha256, NULL) == 1 &&
			EVP_DigestUpdate(w->hash, message.ptr + message.len - w->body_len, w->body_len) == 1 &&
			EVP_DigestFinal_ex(w->hash, digest, NULL) == 1 &&
			EVP_DigestInit_ex2(w->hash, w->sha256, NULL) == 1 &&
			EVP_DigestUpdate(w->hash, message.ptr, message.len - w->body_len) == 1 &&
			EVP_DigestFinal_ex(w->hash, digest, NULL) == 1,
		"no hash");
}

static void sign_raw(struct work *w)
{
	uint8_t digest[HASH_BYTES];
	hash_raw(w, buf_view(&w->message), digest);
	w->signature_len = sizeof w->signature;
	must((w->is_rsa ? EVP_PKEY_sign(w->sign_ctx, w->signature, &w->signature_len, digest, HASH_BYTES)
			: EVP_DigestSign(w->sign_md, w->signature, &w->signature_len, digest, HASH_BYTES)) == 1,
		"EVP does not sign");
}

static void verify_raw(struct work *w)
{
	uint8_t digest[HASH_BYTES];
	hash_raw(w, buf_view(&w->message), digest);
	must((w->is_rsa ? EVP_PKEY_verify(w->verify_ctx, w->signature, w->signature_len, digest, HASH_BYTES)
			: EVP_DigestVerify(w->verify_md, w->signature, w->signature_len, digest, HASH_BYTES)) == 1,
		"EVP does not verify");
}

/* From its numbers: what a record in DNS says, once it is read. */
static EVP_PKEY *new_rsa_raw(const struct work *w)
{
	uint8_t n[512], e[8];
	int n_len = BN_num_bytes(w->n), e_len = BN_num_bytes(w->e);
	must(BN_bn2nativepad(w->n, n, n_len) == n_len && BN_bn2nativepad(w->e, e, e_len) == e_len, "no numbers");
	OSSL_PARAM parameters[] = { OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, (size_t)n_len),
		OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, (size_t)e_len), OSSL_PARAM_construct_end() };
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	must(EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, parameters) == 1,
		"no RSA key");
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static void init_verify_rsa(EVP_PKEY_CTX *ctx, const EVP_MD *sha256)
{
	must(EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
			EVP_PKEY_CTX_set_signature_md(ctx, sha256) == 1,
		"no RSA");
}

static void verify_raw_new(struct work *w)
{
	uint8_t digest[HASH_BYTES];
	hash_raw(w, buf_view(&w->message), digest);
	EVP_PKEY *key = w->is_rsa ? new_rsa_raw(w)
				  : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, w->point, sizeof w->point);
	must(key != NULL, "no key");
	if (w->is_rsa) {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
		init_verify_rsa(ctx, w->sha256);
		must(EVP_PKEY_verify(ctx, w->signature, w->signature_len, digest, HASH_BYTES) == 1,
			"EVP does not verify");
		EVP_PKEY_CTX_free(ctx);
	} else {
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();
		must(EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
				EVP_DigestVerify(ctx, w->signature, w->signature_len, digest, HASH_BYTES) == 1,
			"EVP does not verify");
		EVP_MD_CTX_free(ctx);
	}
	EVP_PKEY_free(key);
}

static void init_raw(struct work *w)
{
	size_t point_len = sizeof w->point;
	must(w->is_rsa ? EVP_PKEY_get_bn_param(w->pkey, OSSL_PKEY_PARAM_RSA_N, &w->n) == 1 &&
				EVP_PKEY_get_bn_param(w->pkey, OSSL_PKEY_PARAM_RSA_E, &w->e) == 1
		       : EVP_PKEY_get_raw_public_key(w->pkey, w->point, &point_len) == 1,
		"no public key");
	w->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	w->hash = EVP_MD_CTX_new();
	w->sign_md = EVP_MD_CTX_new();
	w->verify_md = EVP_MD_CTX_new();
	w->sign_ctx = EVP_PKEY_CTX_new(w->pkey, NULL);
	w->verify_ctx = EVP_PKEY_CTX_new(w->pkey, NULL);
	if (w->is_rsa)
		must(EVP_PKEY_sign_init(w->sign_ctx) == 1 &&
				EVP_PKEY_CTX_set_rsa_padding(w->sign_ctx, RSA_PKCS1_PADDING) == 1 &&
				EVP_PKEY_CTX_set_signature_md(w->sign_ctx, w->sha256) == 1,
			"no RSA");
	else
		must(EVP_DigestSignInit(w->sign_md, NULL, NULL, NULL, w->pkey) == 1 &&
				EVP_DigestVerifyInit(w->verify_md, NULL, NULL, NULL, w->pkey) == 1,
			"no Ed25519");
	if (w->is_rsa)
		init_verify_rsa(w->verify_ctx, w->sha256);
}

static void init(struct work *w, const char *name, struct signature_private *key, EVP_PKEY *pkey, size_t body_bytes)
{
	memset(w, 0, sizeof *w);
	w->name = name;
	w->key = key;
	w->pkey = pkey;
	w->is_rsa = signature_private_kind(key) == SIGNATURE_RSA;
	write_message(&w->message, body_bytes);
	w->header_len = header_section_length(buf_view(&w->message));
	w->body_len = w->message.len - w->header_len;
	w->keys = dkim_keys_new(16);
	init_raw(w);
	sign_ours(w, &w->signed_message);
	must(buf_append(&w->signed_message, buf_view(&w->message)) == ERR_OK, "no memory");
	must(dkim_record_format(key, 0, &w->record) == ERR_OK, "no record");
	sign_raw(w);
}

static void clear(struct work *w)
{
	EVP_MD_CTX_free(w->hash);
	EVP_MD_CTX_free(w->sign_md);
	EVP_MD_CTX_free(w->verify_md);
	EVP_PKEY_CTX_free(w->sign_ctx);
	EVP_PKEY_CTX_free(w->verify_ctx);
	EVP_MD_free(w->sha256);
	BN_free(w->n);
	BN_free(w->e);
	dkim_keys_free(w->keys);
	buf_clear(&w->message);
	buf_clear(&w->signed_message);
	buf_clear(&w->record);
}

enum measured { SIGN_RAW, SIGN_OURS, VERIFY_RAW, VERIFY_KNOWN, VERIFY_NEW, VERIFY_RAW_NEW, MEASURED_COUNT };

static void run(struct work *w, enum measured what)
{
	struct buf out = { 0 };
	switch (what) {
	case SIGN_RAW:
		sign_raw(w);
		break;
	case SIGN_OURS:
		sign_ours(w, &out);
		break;
	case VERIFY_RAW:
		verify_raw(w);
		break;
	case VERIFY_RAW_NEW:
		verify_raw_new(w);
		break;
	case VERIFY_KNOWN:
		verify_ours(w, w->keys);
		break;
	default:
		verify_ours(w, NULL);
		break;
	}
	buf_clear(&out);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void measure(struct work *w, size_t rounds, double ret_per_second[MEASURED_COUNT])
{
	static double times[MEASURED_COUNT][ROUNDS_MAX];
	/* Some 10 ms each, so that the turns are short. */
	size_t count[MEASURED_COUNT];
	for (int k = 0; k < MEASURED_COUNT; k++) {
		run(w, (enum measured)k);
		double start = cpu_seconds();
		for (int i = 0; i < 5; i++)
			run(w, (enum measured)k);
		count[k] = (size_t)(0.01 / ((cpu_seconds() - start) / 5)) + 1;
	}
	for (size_t r = 0; r < rounds; r++)
		for (int k = 0; k < MEASURED_COUNT; k++) {
			double start = cpu_seconds();
			for (size_t i = 0; i < count[k]; i++)
				run(w, (enum measured)k);
			times[k][r] = (cpu_seconds() - start) / (double)count[k];
		}
	for (int k = 0; k < MEASURED_COUNT; k++) {
		qsort(times[k], rounds, sizeof times[k][0], compare_doubles);
		ret_per_second[k] = 1 / times[k][rounds / 2];
	}
}

static EVP_PKEY *read_evp(const char *pem, const char *seed_base64)
{
	if (seed_base64 != NULL) {
		struct buf seed = { 0 };
		must(base64_decode(view_from_cstr(seed_base64), &seed) == ERR_OK, "no seed");
		EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed.ptr, seed.len);
		buf_clear(&seed);
		return key;
	}
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	return key;
}

int main(int argc, char **argv)
{
	uint64_t rounds = ROUNDS_DEFAULT;
	if (argc > 2 || (argc == 2 && view_parse_u64(view_from_cstr(argv[1]), ROUNDS_MAX, &rounds) != ERR_OK) ||
		rounds == 0) {
		fprintf(stderr, "usage: dkim_bench [rounds, at most %d]\n", ROUNDS_MAX);
		return 64;
	}
	static const struct {
		const char *name;
		bool is_rsa;
		size_t body_bytes;
	} works[] = { { "rsa2048-4k", true, 4096 }, { "ed25519-4k", false, 4096 }, { "rsa2048-64k", true, 65536 },
		{ "ed25519-64k", false, 65536 } };
	enum { WORKS = sizeof works / sizeof works[0] };
	double found[WORKS][MEASURED_COUNT];
	printf("%-12s %10s %10s %5s %10s %10s %5s %10s %5s %12s %5s\n", "per second", "EVP sign", "signed", "",
		"EVP verify", "verified", "", "new key", "", "EVP new key", "");
	for (size_t i = 0; i < WORKS; i++) {
		struct work w;
		struct signature_private *key = works[i].is_rsa ? testing_key(TESTING_RSA_2048) : testing_ed25519_key();
		EVP_PKEY *pkey = read_evp(TESTING_RSA_2048, works[i].is_rsa ? NULL : TESTING_ED25519_SEED);
		must(pkey != NULL, "no key");
		init(&w, works[i].name, key, pkey, works[i].body_bytes);
		measure(&w, (size_t)rounds, found[i]);
		const double *f = found[i];
		printf("%-12s %10.0f %10.0f %4.0f%% %10.0f %10.0f %4.0f%% %10.0f %4.0f%% %12.0f %4.0f%%\n", w.name,
			f[SIGN_RAW], f[SIGN_OURS], 100 * f[SIGN_OURS] / f[SIGN_RAW], f[VERIFY_RAW], f[VERIFY_KNOWN],
			100 * f[VERIFY_KNOWN] / f[VERIFY_RAW], f[VERIFY_NEW], 100 * f[VERIFY_NEW] / f[VERIFY_RAW],
			f[VERIFY_RAW_NEW], 100 * f[VERIFY_NEW] / f[VERIFY_RAW_NEW]);
		clear(&w);
		EVP_PKEY_free(pkey);
		signature_private_free(key);
	}
	printf("\n");
	for (size_t i = 0; i < WORKS; i++) {
		printf("RATIO dkim-sign-%s %.3f\n", works[i].name, found[i][SIGN_OURS] / found[i][SIGN_RAW]);
		printf("RATIO dkim-verify-%s %.3f\n", works[i].name, found[i][VERIFY_KNOWN] / found[i][VERIFY_RAW]);
		printf("RATIO dkim-verify-new-key-%s %.3f\n", works[i].name,
			found[i][VERIFY_NEW] / found[i][VERIFY_RAW]);
		printf("RATIO dkim-verify-new-key-both-%s %.3f\n", works[i].name,
			found[i][VERIFY_NEW] / found[i][VERIFY_RAW_NEW]);
	}
	return 0;
}
