/* Chains made by turns, with Debian's python3-dkim: whoever seals next, both find that it passes, and that it fails when it is changed. */
#include "mailauth/arc_testing.h"
#include "mailauth/dkim_peer.h"

#define NOW_S 1795437600u
#define HOPS 6

static unsigned passed, failed;
static char record[600];

static void count(bool ok, const char *what, unsigned hops, const char *reason)
{
	passed += ok;
	failed += !ok;
	if (!ok)
		printf("%s, %u hops: %s\n", what, hops, reason != NULL ? reason : "");
}

static void check(struct peer *peer, struct view message, unsigned hops, enum arc_result want)
{
	char word[16];
	const char *const records[] = { record };
	struct arc_verdict verdict = testing_arc_verdict(message, NOW_S + 3000000000ull, records, 1);
	count(verdict.result == want, "here", hops, verdict.reason);
	const char *theirs = peer_ask(peer, "arc-verify", message, word);
	count(view_eq(view_from_cstr(theirs), arc_result_name(want)), "there", hops, buf_cstr(&peer->answer));
}

static void seal_here(struct buf *message, const struct signature_private *key)
{
	const char *const records[] = { record };
	struct buf out = { 0 };
	struct view results[] = { VIEW("arc=pass"), VIEW("dmarc=pass header.from=author.example") };
	struct arc_seal_options options = { .domain = VIEW("ours.example"), .key = { VIEW("s"), key }, .now_s = NOW_S };
	struct arc_seal_finish finish = {
		.verdict = testing_arc_verdict(buf_view(message), NOW_S + 3000000000ull, records, 1),
		.authserv_id = VIEW("mx.ours.example"),
		.results = results,
		.result_count = 2,
	};
	testing_must(testing_arc_seal(&options, &finish, buf_view(message), &out) == ERR_OK);
	buf_clear(message);
	*message = out;
}

/* It takes all Authentication-Results with its id for its own: a name for each hop. */
static void seal_there(struct peer *peer, struct buf *message, unsigned hop)
{
	char word[16], command[64];
	struct buf out = { 0 };
	snprintf(command, sizeof command, "record s._domainkey.theirs%u.example", hop);
	peer_ask(peer, command, view_from_cstr(record), word);
	snprintf(command, sizeof command, "arc-seal s theirs%u.example", hop);
	testing_must(buf_append_format(&out,
			     "Authentication-Results: theirs%u.example; arc=pass; spf=pass "
			     "smtp.mailfrom=author.example\r\n",
			     hop) == ERR_OK);
	testing_must(buf_append(&out, buf_view(message)) == ERR_OK);
	testing_must(strcmp(peer_ask(peer, command, buf_view(&out), word), "sealed") == 0);
	testing_must(peer->answer.len > 0);
	struct buf whole = { 0 };
	testing_must(buf_append(&whole, buf_view(&peer->answer)) == ERR_OK);
	testing_must(buf_append(&whole, buf_view(&out)) == ERR_OK);
	buf_clear(&out);
	buf_clear(message);
	*message = whole;
}

static void check_changed(struct peer *peer, const struct buf *message, unsigned hops)
{
	struct buf changed = { 0 };
	testing_must(buf_append(&changed, buf_view(message)) == ERR_OK && buf_append_cstr(&changed, "x") == ERR_OK);
	check(peer, buf_view(&changed), hops, ARC_FAIL);
	buf_clear(&changed);
}

int main(void)
{
	struct peer peer = { 0 };
	struct buf text = { 0 }, message = { 0 };
	char word[16];
	if (!peer_begin(&peer, __FILE__))
		return EXIT_SKIP;
	struct signature_private *key = testing_key(TESTING_RSA_2048);
	testing_must(dkim_record_format(key, 0, &text) == ERR_OK && text.len < sizeof record);
	memcpy(record, buf_cstr(&text), text.len + 1);
	peer_ask(&peer, "record s._domainkey.ours.example", buf_view(&text), word);
	peer_ask(&peer, "key rsa-sha256", VIEW(TESTING_RSA_2048), word);
	testing_must(buf_append_cstr(&message,
			     "From: Joe <joe@author.example>\r\nTo: list@ours.example\r\nSubject:  hello \r\n there\r\n"
			     "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@author.example>\r\n"
			     "Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9f"
			     "e \t x\r\n\r\n.\r\n\r\n") == ERR_OK);
	check(&peer, buf_view(&message), 0, ARC_NONE);
	for (unsigned hops = 1; hops <= HOPS; hops++) {
		if (hops % 3 == 2)
			seal_there(&peer, &message, hops);
		else
			seal_here(&message, key);
		check(&peer, buf_view(&message), hops, ARC_PASS);
		check_changed(&peer, &message, hops);
	}
	peer_end(&peer);
	signature_private_free(key);
	buf_clear(&text);
	buf_clear(&message);
	printf("python3-dkim: %u passed, %u failed\n", passed, failed);
	return failed == 0 && passed > 0 ? 0 : 1;
}
