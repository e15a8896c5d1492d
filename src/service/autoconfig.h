/* How a mail program sets up an account here, in Mozilla's form (draft-ietf-mailmaint-autoconfig): which server to read mail from, which one to submit it
 * to. Thunderbird, K-9, Evolution and others ask for it. Pure. */
#ifndef SERVICE_AUTOCONFIG_H
#define SERVICE_AUTOCONFIG_H

#include "config/config.h"

#define AUTOCONFIG_TYPE "text/xml; charset=utf-8"

/* Is this one of the two places where programs ask; of which domain? The host without a port; the view is borrowed from it. */
bool autoconfig_is_asked(struct view host, struct view path, struct view *ret_domain);
/* Appends the file: a few KiB at most. Login names are left to the program, which knows the address (%EMAILADDRESS%). ERR_NOT_FOUND, and nothing is
 * appended: the configuration names no server to read mail from, or none that takes it (both kinds must be there, or the programs refuse the file). */
enum err autoconfig_format(const struct config *config, struct view domain, struct buf *out) MUST_CHECK;

#endif
