#include "mail/tls_required.h"

#include "mail/header.h"

bool tls_required_is_no(struct view headers)
{
	struct header_field field;
	bool no = false;
	unsigned count = 0;
	while (header_next(&headers, &field)) {
		if (!view_eq_nocase(field.name, VIEW("TLS-Required")))
			continue;
		no = view_eq_nocase(view_trim(field.value), VIEW("No"));
		count++;
	}
	return no && count == 1;
}
