#include "net/testing_https.h"

#include "net/testing.h"
#include "net/testing_certificates.h"
#include "net/tls_private.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
	int fd;
	SSL *ssl;
};

static int receive(struct client *client, char *into, size_t room)
{
	int max = (int)room;
	return client->ssl != NULL ? SSL_read(client->ssl, into, max) : (int)recv(client->fd, into, room, 0);
}

static void answer(struct testing_https *server, struct client *client, const char *text)
{
	if (text == NULL) {
		/* Until the client has enough of it. */
		struct pollfd waiting = { .fd = client->fd, .events = POLLIN };
		while (!atomic_load(&server->stopping) && poll(&waiting, 1, 50) == 0)
			;
		return;
	}
	size_t len = strlen(text);
	if (client->ssl != NULL)
		(void)SSL_write(client->ssl, text, (int)len);
	else
		(void)!send(client->fd, text, len, MSG_NOSIGNAL);
}

static bool is_whole(const char *request)
{
	const char *end = strstr(request, "\r\n\r\n");
	const char *length = strstr(request, "Content-Length: ");
	unsigned body = 0;
	if (end != NULL && length != NULL && length < end)
		(void)sscanf(length, "Content-Length: %u", &body);
	return end != NULL && strlen(end + 4) >= body;
}

static void serve(struct testing_https *server, struct client *client)
{
	char request[sizeof server->last_request] = "";
	size_t len = 0;
	while (!is_whole(request) && len + 1 < sizeof request) {
		int n = receive(client, request + len, sizeof request - 1 - len);
		if (n <= 0)
			return;
		len += (size_t)n;
		request[len] = '\0';
	}
	memcpy(server->last_request, request, sizeof request);
	atomic_fetch_add(&server->requests, 1);
	answer(server, client, server->answer(server->owner, request));
}

static void *run(void *arg)
{
	struct testing_https *server = arg;
	while (!atomic_load(&server->stopping)) {
		struct pollfd waiting = { .fd = server->fd, .events = POLLIN };
		if (poll(&waiting, 1, 50) != 1)
			continue;
		struct client client = { .fd = accept(server->fd, NULL, NULL) };
		if (client.fd < 0)
			continue;
		atomic_fetch_add(&server->connections, 1);
		bool ok = true;
		if (server->context != NULL) {
			client.ssl = SSL_new(tls_context_ssl(server->context));
			SSL_set_fd(client.ssl, client.fd);
			ok = SSL_accept(client.ssl) == 1;
		}
		if (ok)
			serve(server, &client);
		if (ok && client.ssl != NULL)
			(void)SSL_shutdown(client.ssl);
		SSL_free(client.ssl);
		ERR_clear_error();
		close(client.fd);
	}
	return NULL;
}

void testing_https_start(struct testing_https *server, const char *certificate)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sa;
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server->fd >= 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(server->fd, 20), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&sa, &len), 0);
	server->port = ntohs(sa.sin_port);
	server->context = NULL;
	if (certificate != NULL) {
		server->context = tls_context_new_server(&(struct tls_server_options){
			.certificate_file = certificate_path(certificate), .key_file = certificate_path("key.pem") });
		assert_non_null(server->context);
	}
	atomic_store(&server->stopping, false);
	assert_int_equal(pthread_create(&server->thread, NULL, run, server), 0);
}

void testing_https_stop(struct testing_https *server)
{
	atomic_store(&server->stopping, true);
	pthread_join(server->thread, NULL);
	close(server->fd);
	tls_context_unref(server->context);
}
