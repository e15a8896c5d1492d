#include "net/testing_streams.h"

#include "net/testing_certificates.h"
#include "net/tls_private.h"

#include <openssl/pem.h>
#include <string.h>

#define TIMEOUT_MS 60000u
#define HOST "mail.example.test"

enum served { CERT, CHAIN, EXPIRED, SELF, OLD /* TLS 1.1 */, CHAIN_1_2, ASKING /* for a client certificate */, SERVED };
static struct tls_context *servers[SERVED], *client;

static struct tls_context *new_server(const char *certificate)
{
	struct tls_context *context = tls_context_new_server(&(struct tls_server_options){
		.certificate_file = certificate_path(certificate), .key_file = certificate_path("key.pem") });
	assert_non_null(context);
	return context;
}

static int take_any(int ok, X509_STORE_CTX *check)
{
	(void)ok;
	(void)check;
	return 1;
}

static int make(void **state)
{
	(void)state;
	certificates_make();
	servers[CERT] = new_server("cert.pem");
	servers[CHAIN] = new_server("chain.pem");
	servers[EXPIRED] = new_server("expired.pem");
	servers[SELF] = new_server("self.pem");
	servers[CHAIN_1_2] = new_server("chain.pem");
	assert_int_equal(SSL_CTX_set_max_proto_version(tls_context_ssl(servers[CHAIN_1_2]), TLS1_2_VERSION), 1);
	servers[OLD] = tls_context_new_server(
		&(struct tls_server_options){ certificate_path("cert.pem"), certificate_path("key.pem"), "1.0" });
	assert_int_equal(SSL_CTX_set_max_proto_version(tls_context_ssl(servers[OLD]), TLS1_1_VERSION), 1);
	servers[ASKING] = new_server("cert.pem");
	SSL_CTX_set_verify(tls_context_ssl(servers[ASKING]), SSL_VERIFY_PEER, take_any);
	client = tls_context_new_client(TLS_VERIFY_NONE, certificate_path("ca.pem"));
	assert_non_null(client);
	return 0;
}

static int remove_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < SERVED; i++)
		tls_context_unref(servers[i]);
	tls_context_unref(client);
	certificates_remove();
	return 0;
}

static bool both_done(struct pair *pair)
{
	return pair->a.tls_done > 0 && pair->b.tls_done > 0;
}
static bool a_got_5(struct pair *pair)
{
	return pair->a.got.len >= 5;
}

/* A handshake and a word from the server (which follows its tickets); the facts. */
static struct tls_facts meet(struct tls_context *server, struct tls_context *with,
	const struct stream_tls_options *options, enum err expected)
{
	struct pair pair;
	pair_open(&pair);
	stream_start_tls_with(pair.a.stream, with, options);
	stream_start_tls(pair.b.stream, server, NULL, TIMEOUT_MS);
	pair_run(&pair, both_done);
	if (pair.a.tls_err != expected)
		fail_msg("handshake: %s", pair.a.detail);
	if (expected == ERR_OK) {
		end_write(&pair.b, "hello");
		pair_run(&pair, a_got_5);
	}
	struct tls_facts facts = stream_tls_facts(pair.a.stream);
	pair_clear(&pair);
	return facts;
}

static void certificates_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum served served;
		const char *server_name, *pkix_name;
		enum tls_pkix pkix;
		const char *reason;
	} cases[] = {
		{ "good", CERT, HOST, NULL, TLS_PKIX_VERIFIED, "" },
		{ "out of date", EXPIRED, HOST, NULL, TLS_PKIX_EXPIRED, "certificate has expired" },
		{ "another's", CERT, "other.example.test", NULL, TLS_PKIX_OTHER_NAME, "hostname mismatch" },
		{ "signed by itself", SELF, "elsewhere.example.test", NULL, TLS_PKIX_NOT_TRUSTED,
			"self-signed certificate" },
		{ "good by address", CERT, "127.0.0.1", NULL, TLS_PKIX_VERIFIED, "" },
		{ "another address", CERT, "127.0.0.2", NULL, TLS_PKIX_OTHER_NAME, "IP address mismatch" },
		{ "PKIX has a name of its own", CERT, "alias.example.test", HOST, TLS_PKIX_VERIFIED, "" },
		{ "PKIX has another name", CERT, HOST, "alias.example.test", TLS_PKIX_OTHER_NAME, "hostname mismatch" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		print_message("  %s\n", cases[i].name);
		struct tls_facts facts = meet(servers[cases[i].served], client,
			&(struct stream_tls_options){ .server_name = cases[i].server_name,
				.pkix_name = cases[i].pkix_name,
				.timeout_ms = TIMEOUT_MS },
			ERR_OK);
		assert_int_equal(facts.pkix, cases[i].pkix);
		assert_string_equal(facts.pkix_reason, cases[i].reason);
		assert_int_equal(facts.dane, TLS_DANE_NONE);
		assert_false(facts.resumed);
	}
}

/* TLSA data of a certificate, as it would be published. */
static size_t tlsa_data(const char *file, unsigned selector, unsigned matching, uint8_t *into)
{
	FILE *in = fopen(certificate_path(file), "r");
	assert_non_null(in);
	X509 *certificate = PEM_read_X509(in, NULL, NULL, NULL);
	assert_non_null(certificate);
	fclose(in);
	unsigned char *der = NULL;
	int len = selector == 0 ? i2d_X509(certificate, &der) : i2d_PUBKEY(X509_get0_pubkey(certificate), &der);
	assert_true(len > 0 && len < 2048);
	unsigned hash_len = (unsigned)len;
	if (matching == 0)
		memcpy(into, der, (size_t)len);
	else
		assert_int_equal(EVP_Digest(der, (size_t)len, into, &hash_len,
					 matching == 1 ? EVP_sha256() : EVP_sha512(), NULL),
			1);
	OPENSSL_free(der);
	X509_free(certificate);
	return hash_len;
}

struct record {
	unsigned usage, selector, matching;
	const char *of;
};

static struct tls_facts meet_dane(struct tls_context *server, const char *name, const char *further, size_t count,
	const struct record *records, struct view key)
{
	uint8_t data[4][2048];
	struct tls_tlsa tlsa[4];
	for (size_t i = 0; i < count; i++)
		tlsa[i] = (struct tls_tlsa){ (uint8_t)records[i].usage, (uint8_t)records[i].selector,
			(uint8_t)records[i].matching,
			view_of(data[i], tlsa_data(records[i].of, records[i].selector, records[i].matching, data[i])) };
	const char *names[] = { further };
	return meet(server, client,
		&(struct stream_tls_options){ .server_name = name,
			.tlsa_count = count,
			.tlsa = tlsa,
			.name_count = further != NULL ? 1 : 0,
			.names = names,
			.session_key = key,
			.timeout_ms = TIMEOUT_MS },
		ERR_OK);
}

static void tlsa_records_are_matched(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum served served;
		const char *base, *further;
		size_t count;
		struct record records[3];
		enum tls_dane dane;
		bool needs_names;
		enum tls_pkix pkix;
		const char *reason;
	} cases[] = {
		{ "3 1 1", CERT, HOST, NULL, 1, { { 3, 1, 1, "cert.pem" } }, TLS_DANE_EE, false, TLS_PKIX_VERIFIED,
			"" },
		{ "3 0 2", CERT, HOST, NULL, 1, { { 3, 0, 2, "cert.pem" } }, TLS_DANE_EE, false, TLS_PKIX_VERIFIED,
			"" },
		{ "3 1 0", CERT, HOST, NULL, 1, { { 3, 1, 0, "cert.pem" } }, TLS_DANE_EE, false, TLS_PKIX_VERIFIED,
			"" },
		{ "3 1 1, another name does not matter", CERT, "other.example.test", NULL, 1,
			{ { 3, 1, 1, "cert.pem" } }, TLS_DANE_EE, false, TLS_PKIX_OTHER_NAME, "" },
		{ "3 1 1, dates do not matter", EXPIRED, HOST, NULL, 1, { { 3, 1, 1, "cert.pem" } }, TLS_DANE_EE, false,
			TLS_PKIX_EXPIRED, "" },
		{ "3 1 1, nor who signed it", SELF, HOST, NULL, 1, { { 3, 0, 1, "self.pem" } }, TLS_DANE_EE, false,
			TLS_PKIX_NOT_TRUSTED, "" },
		{ "3 1 1 of another key", CERT, HOST, NULL, 1, { { 3, 1, 1, "rsa.pem" } }, TLS_DANE_MISMATCH, false,
			TLS_PKIX_VERIFIED, "no matching DANE TLSA records" },
		{ "the next key's record, too", CERT, HOST, NULL, 2,
			{ { 3, 1, 1, "rsa.pem" }, { 3, 1, 1, "cert.pem" } }, TLS_DANE_EE, false, TLS_PKIX_VERIFIED,
			"" },
		{ "2 0 1", CHAIN, HOST, NULL, 1, { { 2, 0, 1, "ca.pem" } }, TLS_DANE_TA, false, TLS_PKIX_VERIFIED, "" },
		{ "2 1 1, the authority is not sent", CERT, HOST, NULL, 1, { { 2, 1, 1, "ca.pem" } }, TLS_DANE_MISMATCH,
			false, TLS_PKIX_VERIFIED, "no matching DANE TLSA records" },
		{ "2 0 0, nor need it be", CERT, HOST, NULL, 1, { { 2, 0, 0, "ca.pem" } }, TLS_DANE_TA, false,
			TLS_PKIX_VERIFIED, "" },
		{ "2 0 1, other name", CHAIN, "other.example.test", NULL, 1, { { 2, 0, 1, "ca.pem" } },
			TLS_DANE_MISMATCH, false, TLS_PKIX_OTHER_NAME, "hostname mismatch" },
		{ "2 0 1, the domain's name", CHAIN, "other.example.test", HOST, 1, { { 2, 0, 1, "ca.pem" } },
			TLS_DANE_TA, true, TLS_PKIX_OTHER_NAME, "" },
		{ "2 0 1 of another authority", CHAIN, HOST, NULL, 1, { { 2, 0, 1, "other-ca.pem" } },
			TLS_DANE_MISMATCH, false, TLS_PKIX_VERIFIED, "no matching DANE TLSA records" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		print_message("  %s\n", cases[i].name);
		struct tls_facts facts = meet_dane(servers[cases[i].served], cases[i].base, cases[i].further,
			cases[i].count, cases[i].records, VIEW_NONE);
		assert_string_equal(facts.dane_reason, cases[i].reason);
		assert_int_equal(facts.dane, cases[i].dane);
		assert_int_equal(facts.dane_needs_names, cases[i].needs_names);
		assert_int_equal(facts.pkix, cases[i].pkix);
	}
}

static void useless_records_match_nothing(void **state)
{
	(void)state;
	struct tls_tlsa tlsa = { 3, 1, 1, VIEW("too short") };
	struct tls_facts facts = meet(servers[CERT], client,
		&(struct stream_tls_options){
			.server_name = HOST, .tlsa_count = 1, .tlsa = &tlsa, .timeout_ms = TIMEOUT_MS },
		ERR_OK);
	assert_int_equal(facts.dane, TLS_DANE_MISMATCH);
	assert_string_not_equal(facts.dane_reason, "");
}

static struct tls_facts meet_keyed(enum served served, const char *name, const char *key, bool verified_only)
{
	return meet(servers[served], client,
		&(struct stream_tls_options){ .server_name = name,
			.session_key = view_from_cstr(key),
			.keep_verified_only = verified_only,
			.timeout_ms = TIMEOUT_MS },
		ERR_OK);
}

static void sessions_are_resumed(void **state)
{
	(void)state;
	static const enum served versions[] = { CERT, CHAIN_1_2 };
	static const char *const keys[] = { "1.3", "1.2" };
	for (size_t i = 0; i < 2; i++) {
		assert_false(meet_keyed(versions[i], HOST, keys[i], false).resumed);
		for (int j = 0; j < 3; j++) {
			struct tls_facts facts = meet_keyed(versions[i], HOST, keys[i], false);
			assert_true(facts.resumed);
			assert_int_equal(facts.pkix, TLS_PKIX_VERIFIED);
		}
		assert_false(
			meet_keyed(versions[i], HOST, i == 0 ? "1.3 of another" : "1.2 of another", false).resumed);
		assert_false(meet_keyed(versions[i], HOST, "", false).resumed);
	}
}

/* What was found the first time stays known. */
static void facts_are_resumed_too(void **state)
{
	(void)state;
	assert_false(meet_keyed(SELF, HOST, "self", false).resumed);
	struct tls_facts facts = meet_keyed(SELF, HOST, "self", false);
	assert_true(facts.resumed);
	assert_int_equal(facts.pkix, TLS_PKIX_NOT_TRUSTED);
	static const struct record record = { 3, 1, 1, "cert.pem" };
	assert_false(meet_dane(servers[EXPIRED], HOST, NULL, 1, &record, VIEW("dane")).resumed);
	facts = meet_dane(servers[EXPIRED], HOST, NULL, 1, &record, VIEW("dane"));
	assert_true(facts.resumed);
	assert_int_equal(facts.dane, TLS_DANE_EE);
	assert_int_equal(facts.pkix, TLS_PKIX_EXPIRED);
}

/* A server that mends its certificate must not be refused for an old one. */
static void failures_are_not_kept(void **state)
{
	(void)state;
	static const struct record wrong = { 3, 1, 1, "rsa.pem" };
	for (int i = 0; i < 2; i++) {
		assert_false(meet_keyed(SELF, HOST, "verified only", true).resumed);
		assert_false(meet_dane(servers[CERT], HOST, NULL, 1, &wrong, VIEW("wrong record")).resumed);
	}
}

static bool resumes(struct tls_context *with, const char *key)
{
	return meet(servers[CERT], with,
		&(struct stream_tls_options){
			.server_name = HOST, .session_key = view_from_cstr(key), .timeout_ms = TIMEOUT_MS },
		ERR_OK)
		.resumed;
}

static void sessions_are_bounded(void **state)
{
	(void)state;
	struct tls_context *forgetful = tls_context_new_client_with(
		&(struct tls_client_options){ .ca_file = certificate_path("ca.pem"), .sessions_max = 2 });
	assert_false(resumes(forgetful, "a"));
	assert_false(resumes(forgetful, "b"));
	assert_true(resumes(forgetful, "a"));
	assert_false(resumes(forgetful, "c")); /* the place of b, which was not used for longer */
	assert_true(resumes(forgetful, "a"));
	assert_true(resumes(forgetful, "c"));
	assert_false(resumes(forgetful, "b"));
	tls_context_unref(forgetful);
}

static void strength_is_demanded(void **state)
{
	(void)state;
	struct stream_tls_options options = { .server_name = HOST, .timeout_ms = TIMEOUT_MS };
	assert_int_equal(meet(servers[OLD], client, &options, ERR_OK).pkix, TLS_PKIX_VERIFIED);
	options.strong = true;
	(void)meet(servers[OLD], client, &options, ERR_TLS);
	assert_int_equal(meet(servers[CERT], client, &options, ERR_OK).pkix, TLS_PKIX_VERIFIED);
}

static bool client_was_known;

static int note_client(int ok, X509_STORE_CTX *check)
{
	(void)ok;
	char name[64] = "";
	X509 *certificate = X509_STORE_CTX_get0_cert(check);
	X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
	client_was_known = strcmp(name, HOST) == 0;
	return 1;
}

static void clients_have_certificates(void **state)
{
	(void)state;
	struct tls_client_options options = { .ca_file = certificate_path("ca.pem"),
		.certificate_file = certificate_path("rsa.pem"),
		.key_file = certificate_path("rsa-key.pem") };
	struct tls_context *with = tls_context_new_client_with(&options);
	assert_non_null(with);
	SSL_CTX_set_verify(
		tls_context_ssl(servers[ASKING]), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, note_client);
	struct stream_tls_options handshake = { .server_name = HOST, .timeout_ms = TIMEOUT_MS };
	(void)meet(servers[ASKING], with, &handshake, ERR_OK);
	assert_true(client_was_known);
	tls_context_unref(with);
	options.key_file = certificate_path("key.pem");
	assert_null(tls_context_new_client_with(&options));
	assert_non_null(strstr(err_detail(), "does not belong to the certificate"));
	options.key_file = NULL;
	assert_null(tls_context_new_client_with(&options));
	assert_non_null(strstr(err_detail(), "needs a certificate file and a key file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificates_are_told_apart),
		cmocka_unit_test(tlsa_records_are_matched),
		cmocka_unit_test(useless_records_match_nothing),
		cmocka_unit_test(sessions_are_resumed),
		cmocka_unit_test(facts_are_resumed_too),
		cmocka_unit_test(failures_are_not_kept),
		cmocka_unit_test(sessions_are_bounded),
		cmocka_unit_test(strength_is_demanded),
		cmocka_unit_test(clients_have_certificates),
	};
	return cmocka_run_group_tests(tests, make, remove_all);
}
