#include "mail/header_utf8.h"

#include "mail/header.h"
#include "mail/mime.h"

static bool find(struct view entity, bool in_digest, unsigned depth)
{
	struct mime_part part;
	mime_part_parse(entity, in_digest, &part);
	if (!view_is_ascii(part.header))
		return true;
	if (view_is_ascii(part.body))
		return false;
	/* Deeper than anybody writes: then it is taken for UTF-8, which only asks for more of the next server. */
	if (depth >= MIME_DEPTH_MAX)
		return true;
	if (mime_type_is(&part.type, "message", "rfc822") || mime_type_is(&part.type, "message", "global"))
		return find(part.body, false, depth + 1);
	struct mime_walker walker;
	if (!mime_walker_init(&walker, &part))
		return false;
	bool digest = mime_type_is(&part.type, "multipart", "digest");
	struct view inner;
	while (mime_walker_next(&walker, &inner))
		if (find(inner, digest, depth + 1))
			return true;
	return false;
}

bool header_utf8_find(struct view message)
{
	return find(message, false, 0);
}
