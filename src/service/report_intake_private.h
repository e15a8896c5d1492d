/* A report of others, read and ready for the store. */
#ifndef SERVICE_REPORT_INTAKE_PRIVATE_H
#define SERVICE_REPORT_INTAKE_PRIVATE_H

#include "service/report_intake.h"

struct report_intake;

/* ERR_NOT_FOUND: the message brings no report; ERR_REFUSED: about no domain of ours; or why it can't be read. */
enum err report_intake_read(struct view message, int64_t now_ms, bool (*is_ours)(void *owner, struct view domain),
	void *owner, struct report_intake **ret) MUST_CHECK;
void report_intake_free(struct report_intake *intake); /* NULL is fine */
enum report_intake_kind report_intake_kind(const struct report_intake *intake);
struct view report_intake_domain(const struct report_intake *intake);
struct view report_intake_organization(const struct report_intake *intake);
/* Inside a transaction. *ret_new: how many reports were not there yet. */
enum err report_intake_put(const struct report_intake *intake, struct db *db, unsigned *ret_new) MUST_CHECK;

#endif
