/* Tag lists, `a=b; c=d`: the syntax of DKIM-Signature, of key records and of ARC (RFC 6376 §3.2). Pure; nothing is copied. */
#ifndef MAILAUTH_TAG_LIST_H
#define MAILAUTH_TAG_LIST_H

#include "base/view.h"

#define TAG_LIST_TAGS_MAX 64u

struct tag {
	struct view name;
	struct view value; /* without outer white space; may have folds inside; may be empty */
	struct view raw; /* all that stands between "=" and ";" or the end */
};

struct tag_list {
	size_t count;
	struct tag tags[TAG_LIST_TAGS_MAX];
};

/* Strict: ERR_SYNTAX for what the grammar has not, and for a tag that occurs twice (the whole list is then invalid); ERR_LIMIT for too
 * many tags. Line ends are folds, so must stand before a blank. Values may be UTF-8 (RFC 8616 §5). */
enum err tag_list_parse(struct view text, struct tag_list *ret) MUST_CHECK;
/* The tag of that name (names have case), or NULL. */
const struct tag *tag_list_find(const struct tag_list *list, struct view name);
/* Takes the next part of a value like "from : to" off the front, without white space around it; false at the end. */
bool tag_value_next(struct view *rest, struct view *ret_part);
/* Copies a value without any of its white space, as base64 and names may have it inside. ERR_LIMIT if it is longer than max. */
enum err tag_value_pack(struct view value, uint8_t *out, size_t max, size_t *ret_len) MUST_CHECK;

#endif
