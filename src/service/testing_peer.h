/* For tests of outgoing mail: a plain SMTP server on loopback, on threads of its own, that can misbehave. */
#ifndef SERVICE_TESTING_PEER_H
#define SERVICE_TESTING_PEER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct testing_peer {
	uint16_t port;
	/* What it does. Set at any time. */
	_Atomic bool closes_after_ehlo; /* as soon as EHLO is answered */
	_Atomic bool hangs_up; /* without a word */
	_Atomic bool holds; /* the reply to the message, until this is false */
	_Atomic unsigned messages_per_connection; /* then MAIL gets 421; 0: no limit */
	/* What it saw. */
	_Atomic unsigned connections, messages, recipients, waiting /* for `holds` */;
	_Atomic unsigned srs_senders; /* MAIL FROM:<SRS… */

	/* private */
	int fd;
	_Atomic bool stopping;
	_Atomic int open;
	pthread_t thread;
};

void testing_peer_start(struct testing_peer *peer);
/* Ends when its clients have gone. */
void testing_peer_stop(struct testing_peer *peer);

#endif
