#include "net/testing_dns.h"

#include "net/testing.h"

#include "dns/message.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER_BYTES 12u

const char testing_dns_silence[] = ".";

/* "_mta-sts.example.test" of the question; where it ends in the packet, or 0. */
static size_t read_name(const uint8_t *packet, size_t len, char *ret, size_t room)
{
	size_t at = HEADER_BYTES, out = 0;
	while (at < len && packet[at] != 0) {
		size_t label = packet[at++];
		if (label > 63 || at + label >= len || out + label + 2 > room)
			return 0;
		if (out > 0)
			ret[out++] = '.';
		for (size_t i = 0; i < label; i++)
			ret[out++] = (char)ascii_lower(packet[at++]);
	}
	ret[out] = '\0';
	return at + 5 <= len ? at + 5 : 0;
}

static size_t write_name(const char *name, uint8_t *to)
{
	size_t len = 0;
	struct view rest = view_from_cstr(name), label;
	while (view_split(&rest, '.', &label)) {
		assert_in_range(label.len, 1, 63);
		to[len++] = (uint8_t)label.len;
		memcpy(to + len, label.ptr, label.len);
		len += label.len;
	}
	to[len++] = 0;
	return len;
}

static size_t put_record(uint8_t *to, uint16_t type, const char *text)
{
	/* The name is the question's; class IN, TTL 0. */
	uint8_t data[300];
	size_t len;
	if (type == DNS_TYPE_A) {
		assert_int_equal(inet_pton(AF_INET, text, data), 1);
		len = 4;
	} else if (type == DNS_TYPE_AAAA) {
		assert_int_equal(inet_pton(AF_INET6, text, data), 1);
		len = 16;
	} else if (type == DNS_TYPE_PTR) {
		len = write_name(text, data);
	} else {
		len = strlen(text);
		assert_true(len < 256);
		data[0] = (uint8_t)len;
		memcpy(data + 1, text, len++);
	}
	const uint8_t head[12] = { 0xc0, HEADER_BYTES, 0, (uint8_t)type, 0, 1, 0, 0, 0, 0, (uint8_t)(len >> 8),
		(uint8_t)len };
	memcpy(to, head, sizeof head);
	memcpy(to + sizeof head, data, len);
	return sizeof head + len;
}

static size_t make_answer(struct testing_dns *dns, uint8_t *packet, size_t len)
{
	char name[300];
	size_t end = read_name(packet, len, name, sizeof name);
	if (end == 0)
		return 0;
	uint16_t type = (uint16_t)(packet[end - 4] << 8 | packet[end - 3]);
	const char *text = dns->answer(dns->owner, name, type);
	if (text == testing_dns_silence)
		return 0;
	memset(packet + 6, 0, 6); /* counts behind the question's: no answer, no EDNS */
	packet[2] = (uint8_t)((packet[2] & 1) | 0x84); /* a response, with authority */
	packet[3] = text != NULL && text[0] == '\0' ? 0x82 : 0x80;
	if (text == NULL || text[0] == '\0')
		return end;
	packet[7] = 1;
	return end + put_record(packet + end, type, text);
}

static void *run(void *arg)
{
	struct testing_dns *dns = arg;
	while (!atomic_load(&dns->stopping)) {
		uint8_t packet[1500];
		struct sockaddr_in from;
		socklen_t from_len = sizeof from;
		struct pollfd waiting = { .fd = dns->fd, .events = POLLIN };
		if (poll(&waiting, 1, 50) != 1)
			continue;
		ssize_t n = recvfrom(dns->fd, packet, 512, 0, (struct sockaddr *)&from, &from_len);
		if (n < (ssize_t)HEADER_BYTES)
			continue;
		atomic_fetch_add(&dns->questions, 1);
		size_t len = make_answer(dns, packet, (size_t)n);
		if (len > 0)
			(void)!sendto(dns->fd, packet, len, 0, (struct sockaddr *)&from, from_len);
	}
	return NULL;
}

void testing_dns_start(struct testing_dns *dns)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sa;
	dns->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(dns->fd >= 0);
	assert_int_equal(bind(dns->fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(getsockname(dns->fd, (struct sockaddr *)&sa, &len), 0);
	snprintf(dns->server, sizeof dns->server, "127.0.0.1@%u", (unsigned)ntohs(sa.sin_port));
	atomic_store(&dns->stopping, false);
	assert_int_equal(pthread_create(&dns->thread, NULL, run, dns), 0);
}

void testing_dns_stop(struct testing_dns *dns)
{
	atomic_store(&dns->stopping, true);
	pthread_join(dns->thread, NULL);
	close(dns->fd);
}
