#include "mailauth/dmarc_private.h"

/*
 * Answers are remembered by domain, and a walk is begun anew with each of them: it runs over what is known until it
 * meets what is not. So there is no place to be remembered, and walks that meet share their questions.
 */

/* "_dmarc." and a name, of no more than 253 bytes. */
enum { NAME_MAX_BYTES = 253, LABELS_WALKED = 7 };
static const char prefix[] = "_dmarc.";

static struct dmarc_node *add_node(struct dmarc_check *check, struct view domain)
{
	ASSERT(check->node_count < DMARC_RECORDS_MAX);
	struct dmarc_node *node = &check->nodes[check->node_count++];
	*node = (struct dmarc_node){ .name = domain };
	return node;
}

static const struct dmarc_node *ask(struct dmarc_check *check, struct view domain)
{
	/* No such name can be: there is nothing to be found, and nobody to be asked. */
	if (domain.len + sizeof prefix - 1 > NAME_MAX_BYTES)
		return add_node(check, domain);
	buf_reset(&check->name);
	enum err err = buf_append_cstr(&check->name, prefix);
	if (err == ERR_OK)
		err = buf_append(&check->name, domain);
	ASSERT(err == ERR_OK);
	check->asked = domain;
	check->need = (struct dmarc_need){ check->need.token + 1, buf_view(&check->name), DNS_TYPE_TXT };
	check->is_open = true;
	check->verdict.questions++;
	return NULL;
}

const struct dmarc_node *dmarc_walk_look(struct dmarc_check *check, struct view domain)
{
	for (size_t i = 0; i < check->node_count; i++)
		if (view_eq(check->nodes[i].name, domain))
			return &check->nodes[i];
	return ask(check, domain);
}

/* Steps 2 and 6: what is no DMARC record is discarded, and so are all of several. */
static bool select_record(const struct dns_answer *answer, struct view *ret)
{
	size_t found = 0;
	for (size_t i = 0; i < answer->record_count; i++) {
		const struct dns_record *record = &answer->records[i];
		if (record->type == DNS_TYPE_TXT && dmarc_record_is_dmarc(record->data) && found++ == 0)
			*ret = record->data;
	}
	return found == 1 && ret->len <= DMARC_RECORD_MAX_BYTES;
}

void dmarc_walk_answer(struct dmarc_check *check, enum dmarc_dns_status status, const struct dns_answer *answer)
{
	struct dmarc_node *node = add_node(check, check->asked);
	struct view text;
	if (status == DMARC_DNS_FAILED)
		node->state = DMARC_NODE_FAILED;
	if (status != DMARC_DNS_OK || answer == NULL || !select_record(answer, &text))
		return;
	/* The arena is made for the records of one walk. */
	enum err err = check->keeps_text ? arena_dup(&check->arena, text, &text) : ERR_OK;
	ASSERT(err == ERR_OK);
	if (!dmarc_record_parse(text, &node->record))
		return;
	node->state = DMARC_NODE_RECORD;
	if (!check->keeps_text)
		node->record.rua = node->record.ruf = VIEW_NONE;
}

static size_t count_labels(struct view domain)
{
	size_t labels = domain.len > 0;
	for (size_t i = 0; i < domain.len; i++)
		labels += domain.ptr[i] == '.';
	return labels;
}

static struct view parent(struct view domain)
{
	return view_from(domain, view_find(domain, '.') + 1);
}

/* The last labels of a domain. */
static struct view tail(struct view domain, size_t labels)
{
	for (size_t i = count_labels(domain); i > labels; i--)
		domain = parent(domain);
	return domain;
}

/* What a walk has found. */
struct finds {
	const struct dmarc_node *nodes[DMARC_WALK_QUESTIONS_MAX]; /* from the longest name to the shortest */
	size_t count;
};

/* §4.10.2. Only the last one found can have psd=y or psd=n, for a walk stops there. */
static void select_organization(struct view start, const struct finds *finds, struct dmarc_walk *ret)
{
	*ret = (struct dmarc_walk){ .org_domain = start };
	if (finds->count == 0)
		return;
	const struct dmarc_node *last = finds->nodes[finds->count - 1];
	ret->policy = last;
	ret->org_domain = last->name;
	if (last->record.psd != DMARC_PSD_YES || view_eq(last->name, start))
		return;
	ret->org_domain = tail(start, count_labels(last->name) + 1);
	if (finds->count > 1 && view_eq(finds->nodes[finds->count - 2]->name, ret->org_domain))
		ret->policy = finds->nodes[finds->count - 2];
}

enum dmarc_walk_state dmarc_walk(struct dmarc_check *check, struct view start, struct dmarc_walk *ret)
{
	struct finds finds = { .count = 0 };
	size_t labels = count_labels(start);
	for (struct view target = start; target.len > 0;) {
		const struct dmarc_node *node = dmarc_walk_look(check, target);
		if (node == NULL)
			return DMARC_WALK_OPEN;
		if (node->state == DMARC_NODE_FAILED)
			return DMARC_WALK_FAILED;
		if (node->state == DMARC_NODE_RECORD)
			finds.nodes[finds.count++] = node;
		if (node->state == DMARC_NODE_RECORD && node->record.psd != DMARC_PSD_UNKNOWN)
			break;
		/* Steps 3, 4 and 7. */
		labels = labels > LABELS_WALKED ? LABELS_WALKED : labels - 1;
		target = tail(start, labels);
		if (labels == 0)
			break;
	}
	select_organization(start, &finds, ret);
	return DMARC_WALK_DONE;
}
