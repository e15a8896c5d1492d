/* What a signature field and a key record may say, each case signed by hand. */
#include "mailauth/dkim_private.h"
#include "mailauth/dkim_testing.h"
#include "mail/testing.h"

enum { NOW_S = 1700000000 };

#define MESSAGE_FIELDS                                                                                                 \
	"From: Joe <joe@example.com>\r\n"                                                                              \
	"To: Suzie <suzie@shopping.example.net>\r\n"                                                                   \
	"Subject: Is dinner  ready?\r\n"
#define MESSAGE_BODY "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"

/* `text` with every `mark` replaced. */
static void replace(const char *text, const char *mark, struct view with, struct buf *out)
{
	const char *at;
	while ((at = strstr(text, mark)) != NULL) {
		assert_int_equal(buf_append(out, view_of(text, (size_t)(at - text))), ERR_OK);
		assert_int_equal(buf_append(out, with), ERR_OK);
		text = at + strlen(mark);
	}
	assert_int_equal(buf_append_cstr(out, text), ERR_OK);
}

static void replace_all(struct buf *text, const char *mark, struct view with)
{
	struct buf out = { 0 };
	replace(buf_cstr(text), mark, with, &out);
	buf_clear(text);
	*text = out;
}

/* The claim in a field without its signature, and the digest that is to be signed for it. */
static void read_unsigned(const char *field, const char *fields, struct arena *arena, struct dkim_claim *ret_claim,
	uint8_t ret_digest[HASH_BYTES])
{
	struct buf text = { 0 };
	struct dkim_sink sink;
	struct dkim_fields index;
	struct header_field own;
	replace(field, "@B@", VIEW("AAAA"), &text);
	struct view rest = buf_view(&text), name;
	assert_true(header_next(&rest, &own));
	(void)dkim_claim_parse(DKIM_CLAIM_SIGNATURE, &own, arena, ret_claim);
	dkim_sink_init(&sink);
	assert_int_equal(dkim_fields_init(&index, view_from_cstr(fields)), ERR_OK);
	for (struct view names = ret_claim->names; tag_value_next(&names, &name);) {
		const struct header_field *found = dkim_fields_take(&index, name);
		if (found != NULL)
			dkim_canon_field(ret_claim->header_canon, found, &sink);
	}
	dkim_canon_own_field(ret_claim->header_canon, &own, ret_claim->hole, &sink);
	dkim_sink_finish(&sink, ret_digest);
	dkim_sink_clear(&sink);
	dkim_fields_clear(&index);
	buf_clear(&text);
}

static void hash_body(const struct dkim_claim *claim, const char *text, uint8_t ret[HASH_BYTES])
{
	struct dkim_body body;
	dkim_body_init(&body, claim->body_canon);
	body.wants_all = true;
	if (claim->has_length)
		dkim_body_add_cut(&body, claim->length);
	dkim_body_feed(&body, view_from_cstr(text));
	dkim_body_end(&body);
	const uint8_t *cut = claim->has_length ? dkim_body_cut(&body, claim->length) : NULL;
	memcpy(ret, cut != NULL ? cut : body.digest, HASH_BYTES);
	dkim_body_clear(&body);
}

static void encode(struct view bytes, struct buf *out)
{
	buf_reset(out);
	assert_int_equal(base64_encode(bytes, out), ERR_OK);
}

/*
 * Signs by hand what no signer of ours would write: "@BH@" in the field becomes the body's hash and "@B@" the signature. What is hashed is
 * what the verifier hashes (the RFCs' examples and the suites of others vouch for that); where it can't read the field, anything will do.
 */
static void sign_by_hand(
	const char *field, const char *fields, const char *body, const struct signature_private *key, struct buf *out)
{
	struct buf text = { 0 }, bytes = { 0 }, encoded = { 0 };
	struct arena arena;
	struct dkim_claim claim;
	uint8_t digest[HASH_BYTES];
	arena_init(&arena, 64 * 1024);
	read_unsigned(field, fields, &arena, &claim, digest);
	hash_body(&claim, body, digest);
	encode(view_of(digest, HASH_BYTES), &encoded);
	assert_int_equal(buf_append_cstr(&text, field), ERR_OK);
	replace_all(&text, "@BH@", buf_view(&encoded));
	read_unsigned(buf_cstr(&text), fields, &arena, &claim, digest);
	assert_int_equal(signature_sign(key, digest, &bytes), ERR_OK);
	encode(buf_view(&bytes), &encoded);
	replace_all(&text, "@B@", buf_view(&encoded));
	assert_int_equal(buf_append_format(out, "%s%s\r\n%s", buf_cstr(&text), fields, body), ERR_OK);
	arena_clear(&arena);
	buf_clear(&text);
	buf_clear(&bytes);
	buf_clear(&encoded);
}

#define ED25519_P "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define RSA_1024_P                                                                                                     \
	"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC3l1qAA799YgHnANyeSgb6Jocu2H4j+iYGo5sOzxTbj77OvBoX7MJG0H3CPCU11vKaa1" \
	"tfgaQZZb3qAw2BGCZ5pmi3tdQjp0aOc0hqr+IixpYC7kroX1QpD6TLG1KqwPzCYb1uTUvM3GchoFqZaKHrjvpTzzPjcom95Ki7n/"         \
	"4+SQIDAQAB"

enum key { ED25519, RSA_768, RSA_1024, KEY_COUNT };

static struct signature_private *keys[KEY_COUNT];
/* Their published halves. */
static struct buf published[KEY_COUNT];

static int set_up(void **state)
{
	(void)state;
	keys[ED25519] = testing_ed25519_key();
	keys[RSA_768] = testing_key(TESTING_RSA_768);
	keys[RSA_1024] = testing_key(TESTING_RSA_1024);
	for (size_t i = 0; i < KEY_COUNT; i++)
		testing_must(dkim_record_format(keys[i], 0, &published[i]) == ERR_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEY_COUNT; i++) {
		signature_private_free(keys[i]);
		buf_clear(&published[i]);
	}
	return 0;
}

#define FRONT "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=mail; "
#define FROM "h=from:to:subject; "
#define BACK "bh=@BH@; b=@B@\r\n"

/* Fields, signed by hand. The record is what is published at mail._domainkey.example.com, "" the key's own. */
static const struct {
	const char *name, *field;
	enum key key;
	const char *record;
	enum dkim_result want;
	const char *reason; /* its beginning */
} signatures[] = {
	{ "defaults", FRONT FROM BACK, ED25519, "", DKIM_PASS, NULL },
	{ "all tags",
		FRONT FROM
		"c=relaxed/relaxed; i=joe@example.com; q=dns/txt; t=1699999999; x=1700000100; z=From:x; l=12; " BACK,
		ED25519, "", DKIM_PASS, NULL },
	{ "unknown tags", FRONT FROM "zz=1; _=; " BACK, ED25519, "", DKIM_NEUTRAL, "the signature is no tag list" },
	{ "unknown tags with names", FRONT FROM "zz=1; r_2=y; " BACK, ED25519, "", DKIM_PASS, NULL },
	{ "ends with a semicolon", FRONT FROM "bh=@BH@; b=@B@;\r\n", ED25519, "", DKIM_PASS, NULL },
	{ "tags in another order",
		"DKIM-Signature: b=@B@; bh=@BH@; " FROM "s=mail; d=example.com; a=ed25519-sha256; v=1\r\n", ED25519, "",
		DKIM_PASS, NULL },
	{ "folds",
		"dkim-signature :\r\n v=1;\r\n\ta=ed25519-sha256;\r\n d=example.com; s = mail;\r\n h=from\r\n : "
		"to;\r\n " BACK,
		ED25519, "", DKIM_PASS, NULL },
	{ "relaxed means relaxed/simple", FRONT FROM "c=relaxed; " BACK, ED25519, "", DKIM_PASS, NULL },
	{ "names in other cases",
		"DKIM-Signature: v=1; a=ED25519-SHA256; c=Relaxed/RELAXED; d=Example.COM; s=Mail; h=FROM; " BACK,
		ED25519, "", DKIM_PASS, NULL },
	{ "RSA", "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=mail; " FROM BACK, RSA_1024, "", DKIM_PASS,
		NULL },
	{ "fields that are not there are signed as such", FRONT "h=from:from:cc:x-none; " BACK, ED25519, "", DKIM_PASS,
		NULL },
	{ "an internationalised domain",
		"DKIM-Signature: v=1; a=ed25519-sha256; d=b\xc3\xbc"
		"cher.example; s=mail; i=j\xc3\xb6@b\xc3\xbc"
		"cher.example; " FROM BACK,
		ED25519, "at xn--bcher-kva.example", DKIM_PASS, NULL },

	{ "no tag list", "DKIM-Signature: hello\r\n", ED25519, "", DKIM_NEUTRAL, "the signature is no tag list" },
	{ "empty", "DKIM-Signature:\r\n", ED25519, "", DKIM_NEUTRAL, "the signature is no tag list" },
	{ "a tag twice", FRONT FROM "d=example.com; " BACK, ED25519, "", DKIM_NEUTRAL, "the signature is no tag list" },
	{ "no v=", "DKIM-Signature: a=ed25519-sha256; d=example.com; s=mail; " FROM BACK, ED25519, "", DKIM_NEUTRAL,
		"a required tag" },
	{ "v=2", "DKIM-Signature: v=2; a=ed25519-sha256; d=example.com; s=mail; " FROM BACK, ED25519, "", DKIM_NEUTRAL,
		"the version" },
	{ "no a=", "DKIM-Signature: v=1; d=example.com; s=mail; " FROM BACK, ED25519, "", DKIM_NEUTRAL,
		"a required tag" },
	{ "no d=", "DKIM-Signature: v=1; a=ed25519-sha256; s=mail; " FROM BACK, ED25519, "", DKIM_NEUTRAL,
		"a required tag" },
	{ "no s=", "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; " FROM BACK, ED25519, "", DKIM_NEUTRAL,
		"a required tag" },
	{ "no h=", FRONT BACK, ED25519, "", DKIM_NEUTRAL, "a required tag" },
	{ "no bh=", FRONT FROM "b=@B@\r\n", ED25519, "", DKIM_NEUTRAL, "a required tag" },
	{ "no b=", FRONT FROM "bh=@BH@\r\n", ED25519, "", DKIM_NEUTRAL, "a required tag" },
	{ "d= of one label", "DKIM-Signature: v=1; a=ed25519-sha256; d=com; s=mail; " FROM BACK, ED25519, "",
		DKIM_NEUTRAL, "the signing domain" },
	{ "d= with a blank", "DKIM-Signature: v=1; a=ed25519-sha256; d=exam ple.com; s=mail; " FROM BACK, ED25519, "",
		DKIM_NEUTRAL, "the signing domain" },
	{ "d= with an empty label", "DKIM-Signature: v=1; a=ed25519-sha256; d=example..com; s=mail; " FROM BACK,
		ED25519, "", DKIM_NEUTRAL, "the signing domain" },
	{ "s= empty", "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=; " FROM BACK, ED25519, "", DKIM_NEUTRAL,
		"the selector" },
	{ "s= with an at sign", "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=a@b; " FROM BACK, ED25519, "",
		DKIM_NEUTRAL, "the selector" },
	{ "bh= of another length", FRONT FROM "bh=AAAA; b=@B@\r\n", ED25519, "", DKIM_NEUTRAL, "the body hash" },
	{ "bh= no base64", FRONT FROM "bh=?; b=@B@\r\n", ED25519, "", DKIM_NEUTRAL, "the body hash" },
	{ "b= empty", FRONT FROM "bh=@BH@; b=\r\n", ED25519, "", DKIM_NEUTRAL, "the signature is no base64" },
	{ "b= no base64", FRONT FROM "bh=@BH@; b=A*AA\r\n", ED25519, "", DKIM_NEUTRAL, "the signature is no base64" },
	{ "h= empty", FRONT "h=; " BACK, ED25519, "", DKIM_NEUTRAL, "no signed header fields" },
	{ "h= with an empty name", FRONT "h=from::to; " BACK, ED25519, "", DKIM_NEUTRAL, "an empty name" },
	{ "h= with a blank in a name", FRONT "h=from:re ceived; " BACK, ED25519, "", DKIM_NEUTRAL,
		"a signed header field" },
	{ "t= no number", FRONT FROM "t=soon; " BACK, ED25519, "", DKIM_NEUTRAL, "the time is" },
	{ "x= no number", FRONT FROM "x=-1; " BACK, ED25519, "", DKIM_NEUTRAL, "the time of expiry" },
	{ "x= before t=", FRONT FROM "t=1700000010; x=1700000010; " BACK, ED25519, "", DKIM_NEUTRAL,
		"the signature expires" },
	{ "l= no number", FRONT FROM "l=1x; " BACK, ED25519, "", DKIM_NEUTRAL, "the body length" },
	{ "i= without an at sign", FRONT FROM "i=example.com; " BACK, ED25519, "", DKIM_NEUTRAL,
		"the identity has no domain" },
	{ "i= with a line end in it", FRONT FROM "i=a=0D=0Ab@example.com; " BACK, ED25519, "", DKIM_NEUTRAL,
		"the identity is malformed" },
	{ "i= with half a code", FRONT FROM "i=a=4; " BACK, ED25519, "", DKIM_NEUTRAL, "the identity is malformed" },

	{ "unknown algorithm", "DKIM-Signature: v=1; a=rsa-md5; d=example.com; s=mail; " FROM BACK, RSA_1024, "",
		DKIM_PERMERROR, "unknown signature algorithm" },
	{ "SHA-1",
		"DKIM-Signature: v=1; a=rsa-sha1; d=example.com; s=mail; " FROM
		"bh=qvTGHdzF6KLavt4PO0gs2a6pQ00=; b=@B@\r\n",
		RSA_1024, "", DKIM_PERMERROR, "signatures with SHA-1" },
	{ "SHA-1 with a long hash", "DKIM-Signature: v=1; a=rsa-sha1; d=example.com; s=mail; " FROM BACK, RSA_1024, "",
		DKIM_PERMERROR, "signatures with SHA-1" },
	{ "unknown canonicalization", FRONT FROM "c=nofws; " BACK, ED25519, "", DKIM_PERMERROR,
		"unknown canonicalization" },
	{ "unknown body canonicalization", FRONT FROM "c=simple/; " BACK, ED25519, "", DKIM_PERMERROR,
		"unknown canonicalization" },
	{ "From is not signed", FRONT "h=to:subject; " BACK, ED25519, "", DKIM_PERMERROR, "the From field" },
	{ "i= of another domain", FRONT FROM "i=joe@example.org; " BACK, ED25519, "", DKIM_PERMERROR,
		"the identity is not" },
	{ "i= of a domain that only ends alike", FRONT FROM "i=joe@notexample.com; " BACK, ED25519, "", DKIM_PERMERROR,
		"the identity is not" },
	{ "i= of the parent",
		"DKIM-Signature: v=1; a=ed25519-sha256; d=sub.example.com; s=mail; i=@example.com; " FROM BACK, ED25519,
		"", DKIM_PERMERROR, "the identity is not" },
	{ "i= of a subdomain", FRONT FROM "i=joe@a.b.Example.com; " BACK, ED25519, "", DKIM_PASS, NULL },
	{ "i= quoted", FRONT FROM "i=j=6Fe=3D@exam\r\n ple.com; " BACK, ED25519, "", DKIM_PASS, NULL },
	{ "another query", FRONT FROM "q=http; " BACK, ED25519, "", DKIM_PERMERROR, "the key is not in DNS" },
	{ "another query and ours", FRONT FROM "q=http:dns/txt; " BACK, ED25519, "", DKIM_PASS, NULL },
	{ "expired", FRONT FROM "x=1699999000; " BACK, ED25519, "", DKIM_PERMERROR, "the signature has expired" },
	{ "expired within the skew", FRONT FROM "x=1699999999; " BACK, ED25519, "", DKIM_PASS, NULL },
	{ "made in the future", FRONT FROM "t=1700001000; " BACK, ED25519, "", DKIM_PERMERROR,
		"the signature was made" },
	{ "made in the future within the skew", FRONT FROM "t=1700000200; " BACK, ED25519, "", DKIM_PASS, NULL },
	{ "x= beyond all numbers", FRONT FROM "x=99999999999999999999999999; " BACK, ED25519, "", DKIM_PASS, NULL },
	{ "l= of all", FRONT FROM "l=55; " BACK, ED25519, "", DKIM_PASS, NULL },
	{ "l= of nothing", FRONT FROM "l=0; " BACK, ED25519, "", DKIM_PASS, NULL },
	{ "l= of more than there is", FRONT FROM "l=56; " BACK, ED25519, "", DKIM_FAIL, "the body is shorter" },
	{ "l= beyond all numbers", FRONT FROM "l=99999999999999999999999999; " BACK, ED25519, "", DKIM_FAIL,
		"the body is shorter" },
	{ "another body's hash", FRONT FROM "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=@B@\r\n", ED25519, "",
		DKIM_FAIL, "the body is not" },
	{ "another signature",
		FRONT FROM
		"bh=@BH@; "
		"b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n",
		ED25519, "", DKIM_FAIL, "the header fields" },
	{ "a signature of another size", FRONT FROM "bh=@BH@; b=AAAA\r\n", ED25519, "", DKIM_FAIL,
		"the header fields" },
	{ "a short key", "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=mail; " FROM BACK, RSA_768, "",
		DKIM_POLICY, "the key is too short" },

	{ "no record", FRONT FROM BACK, ED25519, "none", DKIM_PERMERROR, "no key is published" },
	{ "no answer", FRONT FROM BACK, ED25519, NULL, DKIM_TEMPERROR, "no answer" },
	{ "a record without v=", FRONT FROM BACK, ED25519, "k=ed25519; " ED25519_P, DKIM_PASS, NULL },
	{ "a record with more tags", FRONT FROM BACK, ED25519,
		"v=DKIM1; n=hello there; g=*; k=ed25519; h=sha1:sha256; s=email:x; t=y:z; " ED25519_P, DKIM_PASS,
		NULL },
	{ "white space in the key", FRONT FROM BACK, ED25519,
		"k=ed25519; p=11qYAYKx CrfVS/7TyWQHOg7hcv\tPapiMlrwIaaPcHURo= ;", DKIM_PASS, NULL },
	{ "any service", FRONT FROM BACK, ED25519, "k=ed25519; s=*; " ED25519_P, DKIM_PASS, NULL },
	{ "revoked", FRONT FROM BACK, ED25519, "v=DKIM1; p=", DKIM_PERMERROR, "the key is revoked" },
	{ "v= not first", FRONT FROM BACK, ED25519, "k=ed25519; v=DKIM1; " ED25519_P, DKIM_PERMERROR,
		"the record is none" },
	{ "another version", FRONT FROM BACK, ED25519, "v=DKIM2; k=ed25519; " ED25519_P, DKIM_PERMERROR,
		"the record is none" },
	{ "a version in lower case", FRONT FROM BACK, ED25519, "v=dkim1; k=ed25519; " ED25519_P, DKIM_PERMERROR,
		"the record is none" },
	{ "an SPF record", FRONT FROM BACK, ED25519, "v=spf1 -all", DKIM_PERMERROR, "the record is none" },
	{ "no tag list in DNS", FRONT FROM BACK, ED25519, "hello", DKIM_PERMERROR, "the key record is no tag list" },
	{ "no key in the record", FRONT FROM BACK, ED25519, "v=DKIM1; k=ed25519", DKIM_PERMERROR,
		"the key record has no key" },
	{ "unknown kind of key", FRONT FROM BACK, ED25519, "v=DKIM1; k=ed448; " ED25519_P, DKIM_PERMERROR,
		"the key is of an unknown" },
	{ "a key of the other kind", FRONT FROM BACK, ED25519, RSA_1024_P, DKIM_PERMERROR,
		"the key is of another kind" },
	{ "a key that is called RSA", FRONT FROM BACK, ED25519, ED25519_P, DKIM_PERMERROR, "the key is malformed" },
	{ "a key of 31 bytes", FRONT FROM BACK, ED25519,
		"k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUQ==", DKIM_PERMERROR, "the key is malformed" },
	{ "no base64 in the key", FRONT FROM BACK, ED25519, "k=ed25519; p=?", DKIM_PERMERROR, "the key is no base64" },
	{ "an RSA key of 8 bits", "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=mail; " FROM BACK, RSA_1024,
		"p=MAYCAQMCAQM=", DKIM_PERMERROR, "the key is of a kind or size" },
	{ "a key for SHA-1", FRONT FROM BACK, ED25519, "k=ed25519; h=sha1; " ED25519_P, DKIM_PERMERROR,
		"the key is not for SHA-256" },
	{ "a key for other services", FRONT FROM BACK, ED25519, "k=ed25519; s=tlsrpt; " ED25519_P, DKIM_PERMERROR,
		"the key is not for mail" },
	{ "strict, the very domain", FRONT FROM "i=@Example.com; " BACK, ED25519, "k=ed25519; t=s; " ED25519_P,
		DKIM_PASS, NULL },
	{ "strict, no i=", FRONT FROM BACK, ED25519, "k=ed25519; t=y : s; " ED25519_P, DKIM_PASS, NULL },
	{ "strict, a subdomain", FRONT FROM "i=@a.example.com; " BACK, ED25519, "k=ed25519; t=s; " ED25519_P,
		DKIM_PERMERROR, "the key is not for identities" },
};

static void check_result(const char *name, const struct dkim_signature *got, enum dkim_result want, const char *reason)
{
	if (!testing_is(got, want, reason))
		fail_msg("%s: got %.*s (%s), want %.*s (%s)", name, VIEW_ARG(dkim_result_name(got->result)),
			got->reason != NULL ? got->reason : "", VIEW_ARG(dkim_result_name(want)),
			reason != NULL ? reason : "");
}

static void signature_cases(void **state)
{
	(void)state;
	const struct dkim_verify_options options = { .now_s = NOW_S };
	for (size_t i = 0; i < COUNT_OF(signatures); i++) {
		struct buf message = { 0 };
		sign_by_hand(signatures[i].field, MESSAGE_FIELDS, MESSAGE_BODY, keys[signatures[i].key], &message);
		const char *text = signatures[i].record;
		bool is_at = text != NULL && strncmp(text, "at ", 3) == 0;
		struct buf name = { 0 };
		assert_int_equal(
			buf_append_format(&name, "mail._domainkey.%s", is_at ? text + 3 : "example.com"), ERR_OK);
		if (text != NULL && (text[0] == 0 || is_at))
			text = buf_cstr(&published[signatures[i].key]);
		const struct testing_record record = { buf_cstr(&name), text };
		bool is_none = text != NULL && strcmp(text, "none") == 0;
		struct dkim_verifier *verifier = testing_verify(
			&options, buf_view(&message), 7, &record, is_none ? 0 : 1);
		struct dkim_signature got;
		assert_int_equal(dkim_verifier_count(verifier), 1);
		assert_int_equal(dkim_verifier_from_count(verifier), 1);
		assert_true(dkim_verifier_result(verifier, 0, &got));
		check_result(signatures[i].name, &got, signatures[i].want, signatures[i].reason);
		dkim_verifier_free(verifier);
		buf_clear(&message);
		buf_clear(&name);
	}
}

static void options_decide(void **state)
{
	(void)state;
	struct buf message = { 0 };
	const struct testing_record records[] = { { "mail._domainkey.example.com", buf_cstr(&published[RSA_1024]) },
		{ "part._domainkey.example.com", "t=y; k=ed25519; " ED25519_P } };
	struct dkim_signature got;
	sign_by_hand("DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=mail; " FROM BACK, MESSAGE_FIELDS,
		MESSAGE_BODY, keys[RSA_1024], &message);
	static const struct {
		unsigned bits;
		enum dkim_result want;
		const char *reason;
	} sizes[] = { { 0, DKIM_PASS, NULL }, { 512, DKIM_PASS, NULL }, { 1024, DKIM_PASS, NULL },
		{ 1025, DKIM_POLICY, "the key is too short" } };
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		const struct dkim_verify_options options = { .now_s = NOW_S, .rsa_min_bits = sizes[i].bits };
		struct dkim_verifier *v = testing_verify(&options, buf_view(&message), 0, records, 2);
		assert_true(dkim_verifier_result(v, 0, &got));
		check_result("bits", &got, sizes[i].want, sizes[i].reason);
		assert_int_equal(got.key_bits, 1024);
		dkim_verifier_free(v);
	}
	buf_reset(&message);
	sign_by_hand("DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=part; l=5; " FROM BACK, MESSAGE_FIELDS,
		MESSAGE_BODY, keys[ED25519], &message);
	for (int refuses = 0; refuses < 2; refuses++) {
		const struct dkim_verify_options options = { .now_s = NOW_S, .refuses_unsigned_body = refuses == 1 };
		struct dkim_verifier *v = testing_verify(&options, buf_view(&message), 3, records, 2);
		assert_true(dkim_verifier_result(v, 0, &got));
		check_result("unsigned body", &got, refuses ? DKIM_POLICY : DKIM_PASS,
			refuses ? "a part of the body" : NULL);
		assert_true(got.has_unsigned_body && got.is_testing);
		dkim_verifier_free(v);
	}
	buf_clear(&message);
}

/* A stranger's key must not be able to hold up the loop. */
static void very_long_keys_are_not_used(void **state)
{
	(void)state;
	struct signature_private *key = NULL;
	struct buf message = { 0 }, record = { 0 };
	assert_int_equal(signature_generate(SIGNATURE_RSA, DKIM_RSA_MAX_BITS + 8, &key), ERR_OK);
	assert_int_equal(dkim_record_format(key, 0, &record), ERR_OK);
	sign_by_hand("DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=mail; " FROM BACK, MESSAGE_FIELDS,
		MESSAGE_BODY, key, &message);
	const struct dkim_verify_options options = { .now_s = NOW_S };
	const struct testing_record published_one = { "mail._domainkey.example.com", buf_cstr(&record) };
	struct dkim_verifier *v = testing_verify(&options, buf_view(&message), 0, &published_one, 1);
	struct dkim_signature got;
	assert_true(dkim_verifier_result(v, 0, &got));
	check_result("4104 bits", &got, DKIM_POLICY, "the key is too long");
	dkim_verifier_free(v);
	signature_private_free(key);
	buf_clear(&message);
	buf_clear(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signature_cases),
		cmocka_unit_test(very_long_keys_are_not_used),
		cmocka_unit_test(options_decide),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
