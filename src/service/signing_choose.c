/* Whom is a message signed for? */
#include "service/signing_private.h"

#include "mailauth/author.h"
#include "service/admin.h"

static const char malformed[] = "the From field is malformed";

/* In the form that our domains are kept in. */
static bool append_domain(struct view address, struct buf *out)
{
	struct view domain = view_from(address, view_find_last(address, '@') + 1);
	return domain.len > 0 && domain.len < address.len && domain.ptr[0] != '[' &&
		admin_normalise_domain(domain, out) == ERR_OK;
}

/* RFC 6376 §8.15: whoever reads a message with several From fields may see another author than the signed one. */
static const char *author_domain(struct view headers, struct buf *out)
{
	struct author author;
	const char *wrong = NULL;
	if (author_find(headers, &author) != ERR_OK)
		wrong = malformed;
	else if (author.field_count != 1)
		wrong = author.field_count == 0 ? "there is no From field" : "there are several From fields";
	else if (author.domain_count > 1)
		wrong = "the From field names several domains";
	else if (author.domain_count == 0 || admin_normalise_domain(buf_view(&author.domain), out) != ERR_OK)
		wrong = malformed;
	author_clear(&author);
	return wrong;
}

bool signing_find_ours(struct domains *domains, struct view author, struct view *ret)
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

/* One customer's account must not vouch for another customer's domain. */
static bool may_sign_for(const struct signing_question *question, struct view ours)
{
	return question->account.len == 0 || is_of_domain(question->account, ours) ||
		is_of_domain(question->reverse_path, ours);
}

bool signing_is_of_another(struct domains *domains, const struct signing_question *question)
{
	struct buf author = { 0 };
	struct view ours = VIEW_NONE;
	bool is_ours = author_domain(question->headers, &author) == NULL &&
		signing_find_ours(domains, buf_view(&author), &ours);
	bool is = is_ours && !may_sign_for(question, ours);
	buf_clear(&author);
	return is;
}

const char *signing_choose_domain(struct domains *domains, const struct signing_question *question, struct buf *out)
{
	struct buf author = { 0 };
	struct view ours = VIEW_NONE;
	const char *wrong = author_domain(question->headers, &author);
	if (wrong == NULL && !signing_find_ours(domains, buf_view(&author), &ours))
		wrong = "the author's domain is not ours";
	if (wrong == NULL && !may_sign_for(question, ours))
		wrong = "the account is not of the author's domain";
	if (wrong == NULL && buf_append(out, ours) != ERR_OK)
		wrong = malformed;
	buf_clear(&author);
	return wrong;
}
