/* Whom is a message signed for? */
#include "service/signing_private.h"

#include "mail/address_list.h"
#include "mail/header.h"
#include "service/admin.h"

#define AUTHORS_MAX 64u /* mailboxes in a From field: nobody writes more */

static const char malformed[] = "the From field is malformed";

/* In the form that our domains are kept in. */
static bool append_domain(struct view address, struct buf *out)
{
	struct view domain = view_from(address, view_find_last(address, '@') + 1);
	return domain.len > 0 && domain.len < address.len && domain.ptr[0] != '[' &&
		admin_normalise_domain(domain, out) == ERR_OK;
}

/* All of its mailboxes must be of one domain (RFC 9989 §5.3.1 knows no other author). */
static const char *read_from(struct view value, struct buf *out)
{
	struct address_list list;
	struct address_list_entry entry;
	struct buf domain = { 0 };
	const char *wrong = NULL;
	size_t count = 0, before = out->len;
	address_list_init(&list, value);
	for (enum err err; wrong == NULL && (err = address_list_next(&list, &entry)) != ERR_NOT_FOUND; count++) {
		buf_reset(&domain);
		if (err != ERR_OK || count == AUTHORS_MAX || !append_domain(entry.address, &domain))
			wrong = malformed;
		else if (count == 0)
			wrong = buf_append(out, buf_view(&domain)) == ERR_OK ? NULL : malformed;
		else if (!view_eq(view_from(buf_view(out), before), buf_view(&domain)))
			wrong = "the From field names several domains";
	}
	if (wrong == NULL && count == 0)
		wrong = malformed;
	address_list_clear(&list);
	buf_clear(&domain);
	return wrong;
}

const char *signing_author_domain(struct view headers, struct buf *out)
{
	struct header_field field, from = { .name = { 0 } };
	size_t fields = 0, before = out->len;
	while (header_next(&headers, &field))
		if (view_eq_nocase(field.name, VIEW("From"))) {
			from = field;
			fields++;
		}
	/* RFC 6376 §8.15: whoever reads a message with several may see another author than the signed one. */
	if (fields != 1)
		return fields == 0 ? "there is no From field" : "there are several From fields";
	const char *wrong = read_from(from.value, out);
	if (wrong != NULL)
		out->len = before;
	return wrong;
}

/* The domain itself, or the nearest one above it, that is ours. Its owner answers for what is below it. */
static bool find_ours(struct domains *domains, struct view author, struct view *ret)
{
	while (author.len > 0) {
		if (domains_contain(domains, author)) {
			*ret = author;
			return true;
		}
		author = view_from(author, view_find(author, '.') + 1);
	}
	return false;
}

static bool is_of_domain(struct view address, struct view domain)
{
	struct buf own = { 0 };
	bool is = append_domain(address, &own) && view_eq(buf_view(&own), domain);
	buf_clear(&own);
	return is;
}

const char *signing_choose_domain(struct domains *domains, const struct signing_question *question, struct buf *out)
{
	struct buf author = { 0 };
	struct view ours = VIEW_NONE;
	const char *wrong = signing_author_domain(question->headers, &author);
	if (wrong == NULL && !find_ours(domains, buf_view(&author), &ours))
		wrong = "the author's domain is not ours";
	/* One customer's account must not vouch for another customer's domain. */
	if (wrong == NULL && question->account.len > 0 && !is_of_domain(question->account, ours) &&
		!is_of_domain(question->reverse_path, ours))
		wrong = "the account is not of the author's domain";
	if (wrong == NULL && buf_append(out, ours) != ERR_OK)
		wrong = malformed;
	buf_clear(&author);
	return wrong;
}
