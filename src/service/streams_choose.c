/* The receiving side of streams: which one a recipient belongs to. */
#include "base/mem.h"
#include "policy/stream_choice.h"
#include "service/streams.h"

static struct stream_list list_of(size_t count, const char *const *rules)
{
	return (struct stream_list){ count, rules };
}

static struct stream_rules rules_of(const struct config_stream *s)
{
	return (struct stream_rules){
		.listeners = list_of(s->listener_count, s->listeners),
		.accounts = list_of(s->account_count, s->accounts),
		.senders = list_of(s->sender_count, s->senders),
		.recipients = list_of(s->recipient_count, s->recipients),
		.headers = list_of(s->header_count, s->headers),
	};
}

static bool is_ours(struct server *server, struct view address)
{
	size_t at = view_find_last(address, '@');
	return at == address.len || domains_contain(server->domains, view_from(address, at + 1));
}

void streams_choose(struct server *server, const struct config *config, struct message *message, struct view header)
{
	size_t count = config->stream_count < STREAM_CHOICE_MAX ? config->stream_count : STREAM_CHOICE_MAX;
	if (count == 0)
		return;
	struct queue_message *q = &message->envelope;
	struct stream_rules *rules = mem_alloc_array(count, sizeof *rules);
	for (size_t i = 0; i < count; i++)
		rules[i] = rules_of(&config->streams[i]);
	struct stream_message facts = {
		.listener = q->source,
		.account = q->account,
		.reverse_path = q->reverse_path,
		.header = header,
	};
	struct stream_choice choice;
	stream_choice_init(&choice, count, rules, &facts);
	struct view *kept = mem_alloc_array(count, sizeof *kept);
	for (size_t i = 0; i < q->recipient_count; i++) {
		struct queue_recipient *r = &q->recipients[i];
		size_t found = is_ours(server, r->address) ? count : stream_choice_for(&choice, r->address);
		if (found == count)
			continue;
		if (kept[found].len == 0)
			kept[found] = message_keep(message, view_from_cstr(config->streams[found].name));
		r->stream = kept[found];
		if (!message->wishes.has_priority)
			r->priority = config->streams[found].priority;
	}
	mem_free(kept);
	mem_free(rules);
}
