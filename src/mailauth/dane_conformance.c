/*
 * dane_match() against OpenSSL's test chains: does a record match, and how high in the chain? Only rows which matching alone decides are counted. Left
 * out, and said so at the end of the program:
 *   - rows with usages 0 and 1 only: not usable in SMTP (RFC 7672 §3.1.3);
 *   - rows whose anchor the server does not send, or that needs the chain rebuilt: dane_needs_chain() says so, OpenSSL does it;
 *   - rows that fail by the host's name: under usage 2 that is a check of its own, under usage 3 SMTP has none (RFC 7672 §3.1.1).
 */
#include "mail/conformance.h"
#include "mailauth/dane.h"

/* OpenSSL has a type of this name. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/pem.h>
#include <openssl/x509.h>
#undef ERR_STATE

enum { RECORDS_MAX = 4, CERTIFICATES_MAX = 4, NAME_MISMATCH = 62 };

struct row {
	struct dns_record records[RECORDS_MAX];
	uint8_t data[RECORDS_MAX][2048];
	struct dns_answer answer;
	struct dane_certificate chain[CERTIFICATES_MAX];
	size_t certificate_count;
	uint64_t want_result;
	bool wants_match;
	uint64_t want_depth;
};

static unsigned passed, total, pkix_only, unsent_anchor, by_name;

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "the suite is not to be read: %s\n", what);
		abort();
	}
}

static uint64_t number(struct view *line)
{
	struct view word;
	uint64_t n = 0;
	must(view_split(line, ' ', &word) && view_parse_u64(word, 1000, &n) == ERR_OK, "a number");
	return n;
}

/* The next line that is neither empty nor a comment. */
static bool next_line(struct view *rest, struct view *ret)
{
	while (view_split(rest, '\n', ret)) {
		*ret = view_trim(*ret);
		if (ret->len > 0 && ret->ptr[0] != '#')
			return true;
	}
	return false;
}

static void read_record(struct view line, struct dns_record *record, uint8_t room[2048])
{
	record->type = DNS_TYPE_TLSA;
	record->tlsa_usage = (uint8_t)number(&line);
	record->tlsa_selector = (uint8_t)number(&line);
	record->tlsa_matching = (uint8_t)number(&line);
	must(line.len % 2 == 0 && line.len / 2 <= 2048, "a record's data");
	for (size_t i = 0; i < line.len; i += 2) {
		int high = ascii_hex_value(line.ptr[i]), low = ascii_hex_value(line.ptr[i + 1]);
		must(high >= 0 && low >= 0, "a record's data");
		room[i / 2] = (uint8_t)(high << 4 | low);
	}
	record->data = view_of(room, line.len / 2);
}

/* Takes PEM off the front; what stands before it is passed over. */
static void read_certificate(struct view *rest, struct dane_certificate *certificate)
{
	BIO *bio = BIO_new_mem_buf(rest->ptr, (int)rest->len);
	X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	must(x509 != NULL, "a certificate");
	*rest = view_from(*rest, rest->len - (size_t)BIO_pending(bio));
	unsigned char *der = NULL, *spki = NULL;
	int der_len = i2d_X509(x509, &der), spki_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &spki);
	must(der_len > 0 && spki_len > 0, "a certificate");
	*certificate = (struct dane_certificate){ view_of(der, (size_t)der_len), view_of(spki, (size_t)spki_len) };
	X509_free(x509);
	BIO_free(bio);
}

static bool read_row(struct view *rest, struct row *row)
{
	struct view line;
	*row = (struct row){ .answer = { .records = row->records } };
	if (!next_line(rest, &line))
		return false;
	size_t said = number(&line);
	row->certificate_count = number(&line);
	number(&line);
	row->want_result = number(&line);
	row->wants_match = !view_eq(line, VIEW("-1"));
	row->want_depth = row->wants_match ? number(&line) : 0;
	must(row->certificate_count <= CERTIFICATES_MAX, "a row's size");
	/* Some rows have more records than they say; their comments count them all. */
	struct view after = *rest;
	while (next_line(&after, &line) && ascii_is_digit(line.ptr[0])) {
		size_t i = row->answer.record_count++;
		must(i < RECORDS_MAX, "a row's size");
		read_record(line, &row->records[i], row->data[i]);
		*rest = after;
	}
	must(row->answer.record_count >= said, "a row's records");
	for (size_t i = 0; i < row->certificate_count; i++)
		read_certificate(rest, &row->chain[i]);
	return true;
}

/* The reason for leaving it out, if there is one. */
static unsigned *hindrance(const struct row *row, const struct dane_match *got)
{
	if (dane_demand(DANE_STATUS_SECURE, &row->answer) != DANE_VERIFY)
		return &pkix_only;
	if (row->want_result == NAME_MISMATCH)
		return &by_name;
	if (got->kind == DANE_MATCH_NONE && dane_needs_chain(&row->answer))
		return &unsent_anchor;
	return NULL;
}

static void run_row(const struct row *row, const char *file, unsigned index)
{
	struct dane_match got = dane_match(&row->answer, row->chain, row->certificate_count);
	unsigned *reason = hindrance(row, &got);
	if (reason != NULL) {
		++*reason;
		return;
	}
	bool good = (got.kind != DANE_MATCH_NONE) == row->wants_match;
	if (good && row->wants_match)
		good = got.depth == row->want_depth && (got.kind == DANE_MATCH_EE) == (got.depth == 0) &&
			row->records[got.record].tlsa_usage == (got.depth == 0 ? DANE_USAGE_EE : DANE_USAGE_TA);
	if (!good)
		printf("%s %u: WRONG: %d at %zu\n", file, index, (int)got.kind, got.depth);
	passed += good;
	total++;
}

static void run_file(const char *file)
{
	struct buf text = { 0 };
	static struct row row;
	read_suite(__FILE__, file, &text);
	struct view rest = buf_view(&text);
	for (unsigned i = 1; read_row(&rest, &row); i++) {
		run_row(&row, file, i);
		for (size_t k = 0; k < row.certificate_count; k++) {
			OPENSSL_free((void *)(uintptr_t)row.chain[k].der.ptr);
			OPENSSL_free((void *)(uintptr_t)row.chain[k].spki.ptr);
		}
	}
	buf_clear(&text);
}

int main(void)
{
	run_file("dane-openssl/danetest.in");
	run_file("dane-openssl/dane-cross.in");
	printf("left out: %u with PKIX usages only, %u with an anchor that is not sent, %u that fail by name\n",
		pkix_only, unsent_anchor, by_name);
	printf("CONFORMANCE dane-openssl %u/%u\n", passed, total);
	return passed == total && total > 0 ? 0 : 1;
}
