/*
 * With an implementation that shares no line with ours: what we sign must be valid to Debian's python3-dkim, and what it signs valid to us.
 * tests/interop/dkim_peer.py speaks for it.
 */
#include "mailauth/dkim_peer.h"

enum { NOW_S = 1700000000 };

static const char *const messages[] = {
	"From: Joe <joe@example.com>\r\nTo: a@example.net,\r\n\t\tb@example.net\r\nSubject: Is  dinner ready?  \r\n"
	"Date: Fri, 11 Jul 2003 21:00:37 -0700\r\nMessage-ID: <1@example.com>\r\n\r\n"
	"Hi.\r\n\r\n  We  lost \t\r\n \t\r\nJoe.\r\n\r\n\r\n",
	"From: a@example.com\r\n\r\n",
	"From: a@example.com\r\nX-Empty:\r\nReceived: 1\r\nReceived: 2\r\nTo: a\r\nTo: b\r\n\r\n\r\n\r\n",
	"From: a@example.com\r\nSubject: x\r\n y\r\n\tz\r\nMIME-Version: 1.0\r\n"
	"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	"Gr\xc3\xbc\xc3\x9f"
	"e\t \r\n.\r\n..\r\nno line end",
};
static const char *const canons[] = { "relaxed", "simple" };
static const char *const algorithms[] = { "rsa-sha256", "ed25519-sha256" };
static const char *const selectors[] = { "r1", "e1" };

static unsigned passed, failed;

static void count(bool ok, const char *what, size_t message, size_t canon, const struct buf *detail)
{
	passed += ok;
	failed += !ok;
	if (!ok)
		printf("%s: message %zu, %s/%s: %.*s\n", what, message, canons[canon / 2], canons[canon % 2],
			detail != NULL ? (int)detail->len : 0,
			detail != NULL && detail->len > 0 ? (const char *)detail->ptr : "");
}

static void ours_there(struct peer *peer, const struct dkim_sign_key *keys)
{
	char word[16], command[32];
	for (size_t m = 0; m < sizeof messages / sizeof messages[0]; m++)
		for (size_t c = 0; c < 4; c++) {
			const struct dkim_sign_options options = { .domain = VIEW("example.com"),
				.key_count = 2,
				.keys = keys,
				.header_canon = c / 2 == 0 ? DKIM_RELAXED : DKIM_SIMPLE,
				.body_canon = c % 2 == 0 ? DKIM_RELAXED : DKIM_SIMPLE,
				.now_s = NOW_S };
			struct buf out = { 0 };
			testing_must(testing_sign(&options, view_from_cstr(messages[m]), 0, &out) == ERR_OK);
			for (unsigned i = 0; i < 2; i++) {
				snprintf(command, sizeof command, "verify %u", i);
				bool ok = strcmp(peer_ask(peer, command, buf_view(&out), word), "yes") == 0;
				count(ok, "ours there", m, c, &peer->answer);
			}
			/* It can say no, too. */
			testing_must(buf_append(&out, VIEW("x")) == ERR_OK);
			count(strcmp(peer_ask(peer, "verify 0", buf_view(&out), word), "no") == 0, "ours changed", m, c,
				NULL);
			buf_clear(&out);
		}
}

static void theirs_here(struct peer *peer, const struct testing_record *records)
{
	char word[16], command[128];
	const struct dkim_verify_options options = { .now_s = NOW_S + 3000000000ull };
	for (size_t m = 0; m < sizeof messages / sizeof messages[0]; m++)
		for (size_t c = 0; c < 4; c++)
			for (unsigned i = 0; i < 4; i++) {
				struct view message = view_from_cstr(messages[m]);
				struct buf whole = { 0 }, detail = { 0 };
				struct dkim_signature got = { .reason = NULL };
				snprintf(command, sizeof command, "sign %s %s example.com %s %s %u", algorithms[i / 2],
					selectors[i / 2], canons[c / 2], canons[c % 2], i % 2);
				bool is_signed = strcmp(peer_ask(peer, command, message, word), "signed") == 0;
				testing_must(buf_append(&whole, buf_view(&peer->answer)) == ERR_OK);
				testing_must(buf_append(&whole, message) == ERR_OK);
				struct dkim_verifier *verifier = testing_verify(
					&options, buf_view(&whole), 11, records, 2);
				bool ok = is_signed && dkim_verifier_result(verifier, 0, &got) &&
					got.result == DKIM_PASS;
				testing_must(buf_append_cstr(&detail, got.reason) == ERR_OK);
				count(ok, command, m, c, &detail);
				dkim_verifier_free(verifier);
				buf_clear(&whole);
				buf_clear(&detail);
			}
}

int main(void)
{
	struct peer peer = { 0 };
	struct buf texts[2] = { 0 };
	char word[16];
	if (!peer_begin(&peer, __FILE__))
		return EXIT_SKIP;
	const struct dkim_sign_key keys[] = { { VIEW("r1"), testing_key(TESTING_RSA_2048) },
		{ VIEW("e1"), testing_ed25519_key() } };
	const char *const names[] = { "r1._domainkey.example.com", "e1._domainkey.example.com" };
	struct testing_record records[2];
	for (size_t i = 0; i < 2; i++) {
		char command[64];
		testing_must(dkim_record_format(keys[i].key, 0, &texts[i]) == ERR_OK);
		records[i] = (struct testing_record){ names[i], buf_cstr(&texts[i]) };
		snprintf(command, sizeof command, "record %s", names[i]);
		testing_must(strcmp(peer_ask(&peer, command, buf_view(&texts[i]), word), "done") == 0);
	}
	testing_must(strcmp(peer_ask(&peer, "key rsa-sha256", VIEW(TESTING_RSA_2048), word), "done") == 0);
	testing_must(strcmp(peer_ask(&peer, "key ed25519-sha256", VIEW(TESTING_ED25519_SEED), word), "done") == 0);
	ours_there(&peer, keys);
	theirs_here(&peer, records);
	peer_end(&peer);
	for (size_t i = 0; i < 2; i++) {
		signature_private_free((struct signature_private *)(uintptr_t)keys[i].key);
		buf_clear(&texts[i]);
	}
	printf("python3-dkim: %u passed, %u failed\n", passed, failed);
	return failed == 0 && passed > 0 ? 0 : 1;
}
