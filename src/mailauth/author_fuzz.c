/*
 * Laws of author domains:
 *   - no header section is refused; there are as many fields as header_count() finds, and at most two domains are told;
 *   - several fields are never one domain, no field is none;
 *   - the domain's bytes stand in the section, without white space, "@" or line end;
 *   - other fields, and the case of the domain, change nothing.
 */
#include "mail/header.h"
#include "mailauth/author.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct author find(struct view headers)
{
	struct author author;
	ASSERT(author_find(headers, &author) == ERR_OK);
	return author;
}

static void check_domain(struct view domain)
{
	ASSERT(domain.len <= 254);
	if (domain.len > 0 && domain.ptr[0] == '[')
		return;
	for (size_t i = 0; i < domain.len; i++)
		ASSERT(domain.ptr[i] != '@' && domain.ptr[i] != '\r' && domain.ptr[i] != '\n' && domain.ptr[i] != ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view headers = view_of(data, size);
	struct author author = find(headers);
	ASSERT(author.field_count == header_count(headers, VIEW("From")));
	ASSERT(author.domain_count <= 2);
	ASSERT(author.field_count < 2 || author.domain_count == 2);
	ASSERT(author.field_count > 0 || author.domain_count == 0);
	ASSERT((author.domain.len > 0) == (author.domain_count > 0) || author.field_count > 1);
	check_domain(buf_view(&author.domain));

	struct buf more = { 0 };
	ASSERT(buf_append_cstr(&more, "Subject: From: x@y.example\r\n") == ERR_OK);
	ASSERT(buf_append(&more, headers) == ERR_OK);
	/* A line that goes on would be a part of the new field. */
	if (size > 0 && data[0] != ' ' && data[0] != '\t') {
		struct author again = find(buf_view(&more));
		ASSERT(again.field_count == author.field_count && again.domain_count == author.domain_count);
		ASSERT(view_eq(buf_view(&again.domain), buf_view(&author.domain)));
		author_clear(&again);
	}
	buf_clear(&more);
	author_clear(&author);
	return 0;
}
