#ifndef STORE_SCHEMA_TLS_H
#define STORE_SCHEMA_TLS_H

/* Migration 4: MTA-STS policies of other domains (used_ms: when mail last asked for it, to the day), and what TLS reports are made of: one row
 * per day (days since 1970, UTC), policy domain, policy, host and result. */
#define MAIN_4(BYTES, KEY, SERIAL, CLUSTERED)                                                                          \
	"CREATE TABLE sts_policy ("                                                                                    \
	" domain TEXT NOT NULL PRIMARY KEY,"                                                                           \
	" id TEXT NOT NULL,"                                                                                           \
	" policy TEXT NOT NULL,"                                                                                       \
	" fetched_ms BIGINT NOT NULL,"                                                                                 \
	" expires_ms BIGINT NOT NULL,"                                                                                 \
	" used_ms BIGINT NOT NULL)" CLUSTERED ";"                                                                      \
	"CREATE INDEX sts_policy_expires ON sts_policy (expires_ms);"                                                  \
	"CREATE TABLE tls_result ("                                                                                    \
	" day INTEGER NOT NULL,"                                                                                       \
	" domain TEXT NOT NULL,"                                                                                       \
	" policy_type TEXT NOT NULL,"                                                                                  \
	" policy TEXT NOT NULL,"                                                                                       \
	" host TEXT NOT NULL,"                                                                                         \
	" result TEXT NOT NULL,"                                                                                       \
	" reason TEXT NOT NULL,"                                                                                       \
	" sending_ip TEXT NOT NULL,"                                                                                   \
	" receiving_ip TEXT NOT NULL,"                                                                                 \
	" sessions BIGINT NOT NULL,"                                                                                   \
	" PRIMARY KEY (day, domain, policy_type, policy, host, result, reason, sending_ip, receiving_ip))" CLUSTERED   \
	";"

#endif
