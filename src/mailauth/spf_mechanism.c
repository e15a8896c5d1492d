#include "mailauth/spf_private.h"

/* The mechanisms that need DNS (RFC 7208 §5), and the names of the client's address (§5.5), which %{p} needs, too. */

static uint16_t address_type(const struct spf_check *check)
{
	return check->values.ip.len == 4 ? DNS_TYPE_A : DNS_TYPE_AAAA;
}

static void not_matched(struct spf_check *check)
{
	check->step = SPF_STEP_TERM;
}

/* A term whose question was about its target; a name that can't be asked for is one that does not exist (§4.8 leaves
 * this open). */
static void ask_target(struct spf_check *check, uint16_t type, enum spf_purpose purpose)
{
	if (spf_name_format(buf_view(&check->target), &check->name) == ERR_OK)
		spf_check_ask(check, type, purpose);
	else
		not_matched(check);
}

static void begin_ptr(struct spf_check *check)
{
	if (spf_name_format(buf_view(&check->target), &check->base) != ERR_OK) {
		not_matched(check);
		return;
	}
	check->client.for_macro = false;
	check->step = SPF_STEP_VALIDATE;
}

void spf_mechanism_begin(struct spf_check *check)
{
	struct spf_frame *frame = spf_check_top(check);
	struct view spec = frame->term.domain_spec.len > 0 ? frame->term.domain_spec : VIEW("%{d}");
	if (!spf_check_expand(check, spec, SPF_STEP_TARGET, SPF_STEP_TERM))
		return;
	switch (frame->term.mechanism) {
	case SPF_INCLUDE:
		spf_check_include(check);
		return;
	case SPF_A:
		ask_target(check, address_type(check), SPF_FOR_ADDRESS);
		return;
	case SPF_MX:
		ask_target(check, DNS_TYPE_MX, SPF_FOR_MX);
		return;
	case SPF_PTR:
		begin_ptr(check);
		return;
	case SPF_EXISTS:
		/* §5.7: type A, whatever the client's address. */
		ask_target(check, DNS_TYPE_A, SPF_FOR_EXISTS);
		return;
	case SPF_ALL:
	case SPF_IP4:
	case SPF_IP6:
		break;
	}
	ASSERT(false);
}

/* Answers */

static size_t count_records(const struct dns_answer *answer, uint16_t type)
{
	size_t count = 0;
	for (size_t i = 0; i < answer->record_count; i++)
		count += answer->records[i].type == type;
	return count;
}

/* What the answer to a term's own question means before its records are looked at. False: it has ended the check, or
 * the term. §4.6.4: nothing found is counted once a term, and not for each host behind MX: an owner can't know which
 * of them has no IPv6. */
static bool is_usable(
	struct spf_check *check, enum spf_dns_status status, const struct dns_answer *answer, uint16_t type)
{
	if (status == SPF_DNS_FAILED) {
		spf_check_error(check, SPF_TEMPERROR, "the DNS gave no answer to a question of its record");
		return false;
	}
	if (count_records(answer, type) > 0)
		return true;
	if (++check->verdict.void_lookups > check->limits.void_lookups_max)
		spf_check_error(check, SPF_PERMERROR, "too many names in its records do not exist");
	else
		not_matched(check);
	return false;
}

static bool has_client(const struct spf_check *check, const struct dns_answer *answer, unsigned prefix_bits)
{
	for (size_t i = 0; i < answer->record_count; i++) {
		const struct dns_record *record = &answer->records[i];
		if (record->type == address_type(check) && record->data.len == check->values.ip.len &&
			spf_address_same_prefix(check->values.ip.ptr, record->data.ptr, prefix_bits))
			return true;
	}
	return false;
}

/* Of `a`, and of a host of `mx`. */
void spf_mechanism_address(struct spf_check *check, enum spf_dns_status status, const struct dns_answer *answer)
{
	const struct spf_term *term = &spf_check_top(check)->term;
	bool is_own = check->purpose == SPF_FOR_ADDRESS;
	if ((is_own || status == SPF_DNS_FAILED) && !is_usable(check, status, answer, address_type(check)))
		return;
	if (has_client(check, answer, check->values.ip.len == 4 ? term->prefix4_bits : term->prefix6_bits))
		spf_check_matched(check);
	else
		check->step = is_own ? SPF_STEP_TERM : SPF_STEP_MX_HOST;
}

void spf_mechanism_exists(struct spf_check *check, enum spf_dns_status status, const struct dns_answer *answer)
{
	if (is_usable(check, status, answer, DNS_TYPE_A))
		spf_check_matched(check);
}

/* Copies the names of the answer's records; false if the check has ended for want of memory. */
static bool keep_names(
	struct spf_check *check, const struct dns_answer *answer, uint16_t type, struct view *names, size_t *ret_count)
{
	size_t count = 0;
	for (size_t i = 0; i < answer->record_count && count < check->limits.names_max; i++) {
		struct view name = answer->records[i].name;
		/* The root is no host: a null MX (RFC 7505). */
		if (answer->records[i].type != type || name.len == 0 || name.len > SPF_NAME_TEXT_MAX_BYTES)
			continue;
		if (!spf_check_keep(check, name, &names[count]))
			return false;
		count++;
	}
	*ret_count = count;
	return true;
}

void spf_mechanism_mx(struct spf_check *check, enum spf_dns_status status, const struct dns_answer *answer)
{
	if (!is_usable(check, status, answer, DNS_TYPE_MX))
		return;
	/* §4.6.4: more of them is an error, not a reason to look at the first ones only. */
	if (count_records(answer, DNS_TYPE_MX) > check->limits.names_max) {
		spf_check_error(check, SPF_PERMERROR, "a domain that \"mx\" names has too many MX records");
		return;
	}
	check->mx_next = 0;
	if (keep_names(check, answer, DNS_TYPE_MX, check->mx_names, &check->mx_count))
		check->step = SPF_STEP_MX_HOST;
}

void spf_mechanism_mx_host(struct spf_check *check)
{
	if (check->mx_next == check->mx_count) {
		not_matched(check);
		return;
	}
	buf_reset(&check->name);
	if (buf_append(&check->name, check->mx_names[check->mx_next++]) == ERR_OK)
		spf_check_ask(check, address_type(check), SPF_FOR_MX_HOST);
}

/* The client's names */

/* §5.5: of more names the others are ignored, since not the domain's owner says how many there are. An error is as
 * no name. */
void spf_mechanism_ptr(struct spf_check *check, enum spf_dns_status status, const struct dns_answer *answer)
{
	struct spf_client_names *client = &check->client;
	bool is_term = !client->for_macro;
	client->asked = true;
	if (is_term && status != SPF_DNS_FAILED && !is_usable(check, status, answer, DNS_TYPE_PTR))
		return;
	if (!keep_names(check, answer, DNS_TYPE_PTR, client->names, &client->count))
		return;
	/* Escaped bytes make no host name, and would mean something else inside a macro. */
	for (size_t i = 0; i < client->count; i++)
		if (view_find(client->names[i], '\\') < client->names[i].len)
			client->states[i] = SPF_NAME_INVALID;
}

void spf_mechanism_ptr_host(struct spf_check *check, enum spf_dns_status status, const struct dns_answer *answer)
{
	bool is_valid = status == SPF_DNS_OK && has_client(check, answer, (unsigned)check->values.ip.len * 8);
	check->client.states[check->client.current] = is_valid ? SPF_NAME_VALID : SPF_NAME_INVALID;
}

enum rank { RANK_SAME, RANK_BELOW, RANK_OTHER };

static enum rank rank_of(struct view name, struct view base)
{
	if (!view_ends_with_nocase(name, base))
		return RANK_OTHER;
	if (name.len == base.len)
		return RANK_SAME;
	return name.ptr[name.len - base.len - 1] == '.' ? RANK_BELOW : RANK_OTHER;
}

/* The best name that is valid, or may yet turn out to be; the count if there is none. §7.3 prefers <domain>, then
 * what is below it. */
static size_t best_name(const struct spf_check *check)
{
	const struct spf_client_names *client = &check->client;
	enum rank worst = client->for_macro ? RANK_OTHER : RANK_BELOW;
	for (enum rank rank = RANK_SAME; rank <= worst; rank++)
		for (size_t i = 0; i < client->count; i++)
			if (client->states[i] != SPF_NAME_INVALID &&
				rank_of(client->names[i], buf_view(&check->base)) == rank)
				return i;
	return client->count;
}

static void search_ends(struct spf_check *check, size_t found)
{
	const struct spf_client_names *client = &check->client;
	bool is_found = found < client->count;
	if (client->for_macro) {
		spf_check_top(check)->validated = is_found ? client->names[found] : VIEW("unknown");
		check->step = client->back;
	} else if (is_found) {
		spf_check_matched(check);
	} else {
		not_matched(check);
	}
}

void spf_mechanism_validate(struct spf_check *check)
{
	struct spf_client_names *client = &check->client;
	buf_reset(&check->name);
	if (!client->asked) {
		if (spf_address_format_reverse(check->values.ip, &check->name) == ERR_OK)
			spf_check_ask(check, DNS_TYPE_PTR, SPF_FOR_PTR);
		return;
	}
	size_t best = best_name(check);
	if (best == client->count || client->states[best] == SPF_NAME_VALID) {
		search_ends(check, best);
		return;
	}
	client->current = best;
	if (buf_append(&check->name, client->names[best]) == ERR_OK)
		spf_check_ask(check, address_type(check), SPF_FOR_PTR_HOST);
}
