#include "service/bounce_note.h"

#include "store/bounce_store.h"

static struct bounce_verdict verdict_of(const struct delivery_recipient *recipient)
{
	struct bounce_reply reply = bounce_reply_from(recipient->reply);
	return bounce_classify(&reply);
}

struct view bounce_note_class(const struct delivery_recipient *recipient)
{
	if ((recipient->outcome != OUTCOME_FAILED && recipient->outcome != OUTCOME_DEFERRED) || recipient->kept)
		return VIEW_NONE;
	return bounce_class_name(verdict_of(recipient).class);
}

enum err bounce_note(struct db *db, const struct delivery *delivery, int64_t now_ms)
{
	enum err err = ERR_OK;
	/* A bounce of ours that finds nobody is on nobody's list. */
	if (delivery->message->envelope.account.len == 0 && delivery->message->envelope.reverse_path.len == 0)
		return ERR_OK;
	for (size_t i = 0; i < delivery->count && err == ERR_OK; i++) {
		const struct delivery_recipient *r = &delivery->recipients[i];
		if (r->outcome != OUTCOME_FAILED)
			continue;
		struct bounce_verdict verdict = verdict_of(r);
		err = bounce_store_note(db, verdict.is_hard ? BOUNCE_HARD : BOUNCE_SOFT, r->recipient->address,
			bounce_class_name(verdict.class), r->reply, now_ms);
	}
	return err;
}
