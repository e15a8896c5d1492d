/*
 * Those who look at a message while its bytes arrive: verifiers, signers. Each gets the header section whole, then the body in pieces as the client
 * sends them, then the end; nothing is copied for it, and nothing read twice. Taps are put into a session's list between MAIL and the first byte
 * (smtp_in_tap()); their owner takes them out (list_remove(), also before it is freed with the transaction).
 */
#ifndef SERVICE_INTAKE_TAP_H
#define SERVICE_INTAKE_TAP_H

#include "base/list.h"
#include "base/view.h"

#define INTAKE_HEADER_MAX_BYTES (256u * 1024)

/* Views are borrowed during the call. */
struct intake_header {
	struct view received; /* as the client sent it, up to and with the empty line: what its signatures are about */
	struct view kept; /* what is stored of it: without forged Authentication-Results */
	struct view
		added; /* complete lines that stand in front of it from here on: Date and Message-ID of submitted mail that has none */
	/* False: the section is longer than INTAKE_HEADER_MAX_BYTES; these are its first bytes, what follows comes as body. */
	bool is_whole;
};

struct intake_tap {
	struct list link;
	void (*header)(struct intake_tap *tap, const struct intake_header *header); /* once, before the body */
	void (*body)(struct intake_tap *tap, struct view piece);
	void (*end)(struct intake_tap *tap); /* once; not if the message was broken off */
};

#endif
