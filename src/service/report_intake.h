/*
 * Reports that others send about our domains: mail to reports.mailbox is read once it is delivered there (where it stays), and what it tells is put into
 * the store. Reading happens on the background thread, one report at a time and within bounds: nobody's mail waits for it. A crash between
 * delivery and the store may lose what a report tells; the report itself is in the mailbox.
 */
#ifndef SERVICE_REPORT_INTAKE_H
#define SERVICE_REPORT_INTAKE_H

#include "service/message.h"
#include "service/server_private.h"

/* The message was delivered to this mailbox. Content in memory is copied; a spooled one is read. Any thread that may block. */
void report_intake_delivered(struct server *server, const struct config *config, struct view mailbox,
	const struct queue_recipient *recipient, const struct message *message);

/* Is the recipient reports.mailbox, perhaps by way of an alias? `mailbox`: the account that its mail comes to, empty if that is not known. */
bool report_intake_is_mailbox(
	const struct config *config, struct view mailbox, const struct queue_recipient *recipient);

/* What it finds in a message, for the log and tests. */
enum report_intake_kind { REPORT_INTAKE_NONE, REPORT_INTAKE_DMARC, REPORT_INTAKE_FAILURE, REPORT_INTAKE_TLS };

#endif
