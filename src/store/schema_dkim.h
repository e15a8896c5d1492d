#ifndef STORE_SCHEMA_DKIM_H
#define STORE_SCHEMA_DKIM_H

/*
 * Migration 3: DKIM's keys. state: 0 new (not yet seen in DNS), 1 active, 2 retired (kept until its record may go). origin is the selector of the
 * first key of a row of keys that took each other's place: what the configuration may go on calling it.
 */
#define MAIN_3(BYTES, KEY, SERIAL, CLUSTERED)                                                                          \
	"CREATE TABLE dkim_key ("                                                                                      \
	" domain TEXT NOT NULL,"                                                                                       \
	" selector TEXT NOT NULL,"                                                                                     \
	" algorithm TEXT NOT NULL,"                                                                                    \
	" origin TEXT NOT NULL,"                                                                                       \
	" private_key TEXT NOT NULL,"                                                                                  \
	" state INTEGER NOT NULL,"                                                                                     \
	" created_ms BIGINT NOT NULL,"                                                                                 \
	" activated_ms BIGINT NOT NULL,"                                                                               \
	" retired_ms BIGINT NOT NULL,"                                                                                 \
	" PRIMARY KEY (domain, selector))" CLUSTERED ";"

#endif
