/* A DNS server on 127.0.0.1 (UDP only) with a thread of its own, that answers as it is told. Nothing is signed; TTLs are 0. */
#ifndef NET_TESTING_DNS_H
#define NET_TESTING_DNS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

extern const char testing_dns_silence[];

struct testing_dns {
	char server[32]; /* "127.0.0.1@port" */
	/* The text of a TXT record, the address of an A or AAAA record, the name of a PTR record; NULL: there is none of that type; "": SERVFAIL; testing_dns_silence: no answer. On the server's thread. */
	const char *(*answer)(void *owner, const char *name, uint16_t type);
	void *owner;
	_Atomic unsigned questions;

	/* private */
	int fd;
	_Atomic bool stopping;
	pthread_t thread;
};

void testing_dns_start(struct testing_dns *dns);
void testing_dns_stop(struct testing_dns *dns);

#endif
