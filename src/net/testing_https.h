/* An HTTPS server on 127.0.0.1 with a thread of its own, that answers as it is told. One request a connection. */
#ifndef NET_TESTING_HTTPS_H
#define NET_TESTING_HTTPS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct testing_https {
	uint16_t port;
	/* The answer to a request: everything, status line and all; NULL: none ever comes. Runs on the server's thread. */
	const char *(*answer)(void *owner, const char *request);
	void *owner;
	_Atomic unsigned connections, requests;
	char last_request[4096];

	/* private */
	void *context; /* NULL: plain HTTP */
	int fd;
	_Atomic bool stopping;
	pthread_t thread;
};

/* With the certificate and key of testing_certificates.h; `certificate` NULL: without TLS. */
void testing_https_start(struct testing_https *server, const char *certificate);
void testing_https_stop(struct testing_https *server);

#endif
