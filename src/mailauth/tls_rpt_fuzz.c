/*
 * Laws of TLS reporting's record, for any text:
 *   - destinations are URIs of the two schemes that stand in the text in this order, without anything that would end a field or a list;
 *   - put together again they make the same record; among answers only one record counts;
 *   - a mailto's mailbox is a valid address of printable bytes; all or nothing is appended.
 */
#include "mailauth/tls_rpt.h"

#include "mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_mailbox(struct view uri, bool must_be_one)
{
	struct buf out = { 0 };
	struct address address;
	ASSERT(buf_append(&out, VIEW("to:")) == ERR_OK);
	enum err err = tls_rpt_mailbox(uri, &out);
	struct view got = view_from(buf_view(&out), 3);
	ASSERT(err == ERR_OK || (!must_be_one && out.len == 3));
	if (err == ERR_OK) {
		ASSERT(address_parse(got, ADDRESS_ALLOW_UTF8, &address) == ERR_OK && got.len <= uri.len);
		for (size_t i = 0; i < got.len; i++)
			ASSERT(got.ptr[i] >= ' ' && got.ptr[i] != 0x7f);
	}
	buf_clear(&out);
}

static void check_destination(const struct tls_rpt_destination *destination)
{
	struct view uri = destination->uri;
	bool is_mailto = destination->scheme == TLS_RPT_MAILTO;
	ASSERT(is_mailto || destination->scheme == TLS_RPT_HTTPS);
	ASSERT(view_starts_with_nocase(uri, is_mailto ? VIEW("mailto:") : VIEW("https://")));
	for (size_t i = 0; i < uri.len; i++)
		ASSERT(uri.ptr[i] > ' ' && uri.ptr[i] < 0x7f && uri.ptr[i] != ',' && uri.ptr[i] != ';' &&
			uri.ptr[i] != '!' && uri.ptr[i] != '"' && uri.ptr[i] != '<' && uri.ptr[i] != '>');
	if (is_mailto)
		check_mailbox(uri, true);
}

static void check_again(const struct tls_rpt_record *record)
{
	struct buf out = { 0 };
	struct tls_rpt_record again;
	ASSERT(buf_append(&out, VIEW("v=TLSRPTv1 ;\trua=")) == ERR_OK);
	for (size_t i = 0; i < record->count; i++) {
		ASSERT(i == 0 || buf_append(&out, VIEW(" ,\t")) == ERR_OK);
		ASSERT(buf_append(&out, record->destinations[i].uri) == ERR_OK);
	}
	ASSERT(buf_append(&out, VIEW("; more=x;")) == ERR_OK);
	/* With all these blanks it may have become too long. */
	enum err err = tls_rpt_record_parse(buf_view(&out), &again);
	ASSERT(err == ERR_OK || (err == ERR_LIMIT && out.len > 4096));
	ASSERT(err != ERR_OK || again.count == record->count);
	for (size_t i = 0; err == ERR_OK && i < again.count; i++)
		ASSERT(again.destinations[i].scheme == record->destinations[i].scheme &&
			view_eq(again.destinations[i].uri, record->destinations[i].uri));
	buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view text = view_of(data, size);
	struct tls_rpt_record record = { 0 }, found;
	struct dns_record records[] = { { .data = text }, { .data = VIEW("hello") }, { .data = text } };
	struct dns_answer answer = { .records = records, .record_count = 2 };
	enum err err = tls_rpt_record_parse(text, &record);
	ASSERT((tls_rpt_record_find(&answer, &found) == ERR_OK) == (err == ERR_OK));
	answer.record_count = 3;
	ASSERT(tls_rpt_record_find(&answer, &found) != ERR_OK);
	check_mailbox(text, false);
	if (err != ERR_OK) {
		ASSERT(record.count == 0);
		return 0;
	}
	ASSERT(record.count > 0 && record.count <= TLS_RPT_DESTINATIONS_MAX);
	const uint8_t *end = text.ptr;
	for (size_t i = 0; i < record.count; i++) {
		struct view uri = record.destinations[i].uri;
		ASSERT(uri.ptr >= end && uri.ptr + uri.len <= text.ptr + text.len);
		end = uri.ptr + uri.len;
		check_destination(&record.destinations[i]);
	}
	check_again(&record);
	return 0;
}
