#ifndef STORE_SCHEMA_EGRESS_H
#define STORE_SCHEMA_EGRESS_H

/* Migration 7: messages sent per egress address and day (days since 1970, UTC): the ceilings of warm-up plans survive a restart. */
#define MAIN_7(BYTES, KEY, SERIAL, CLUSTERED)                                                                          \
	"CREATE TABLE egress_day ("                                                                                    \
	" egress TEXT NOT NULL,"                                                                                       \
	" day INTEGER NOT NULL,"                                                                                       \
	" messages BIGINT NOT NULL,"                                                                                   \
	" PRIMARY KEY (egress, day))" CLUSTERED ";"

#endif
