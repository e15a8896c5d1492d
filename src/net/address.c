#include "net/address.h"

#include <arpa/inet.h>
#include <string.h>

static void set_v4(struct net_address *address, const uint8_t raw[4], uint16_t port)
{
	memset(address, 0, sizeof *address);
	address->v4.sin_family = AF_INET;
	address->v4.sin_port = htons(port);
	memcpy(&address->v4.sin_addr, raw, 4);
	address->len = sizeof address->v4;
}

/* A mapped address is the IPv4 peer behind it: one form, so that access rules can't be sidestepped by the other. */
static void set_v6(struct net_address *address, const uint8_t raw[16], uint16_t port)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	if (memcmp(raw, mapped, sizeof mapped) == 0) {
		set_v4(address, raw + 12, port);
		return;
	}
	memset(address, 0, sizeof *address);
	address->v6.sin6_family = AF_INET6;
	address->v6.sin6_port = htons(port);
	memcpy(&address->v6.sin6_addr, raw, 16);
	address->len = sizeof address->v6;
}

enum err net_address_from_bytes(struct view raw, uint16_t port, struct net_address *ret)
{
	if (raw.len == 4)
		set_v4(ret, raw.ptr, port);
	else if (raw.len == 16)
		set_v6(ret, raw.ptr, port);
	else
		return err_set(ERR_SYNTAX, "an IP address has 4 or 16 bytes, not %zu", raw.len);
	return ERR_OK;
}

/* The raw bytes of a textual address, 4 or 16, or 0 if it is none. */
static size_t parse_ip(struct view ip, uint8_t raw[16])
{
	char text[INET6_ADDRSTRLEN];
	if (ip.len == 0 || ip.len >= sizeof text || view_find(ip, 0) < ip.len)
		return 0;
	memcpy(text, ip.ptr, ip.len);
	text[ip.len] = '\0';
	if (inet_pton(AF_INET, text, raw) == 1)
		return 4;
	return inet_pton(AF_INET6, text, raw) == 1 ? 16 : 0;
}

enum err net_address_parse(struct view ip, uint16_t port, struct net_address *ret)
{
	uint8_t raw[16];
	size_t len = parse_ip(ip, raw);
	if (len == 0)
		return err_set(ERR_SYNTAX, "not an IP address");
	return net_address_from_bytes(view_of(raw, len), port, ret);
}

void net_address_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct net_address *ret)
{
	memset(ret, 0, sizeof *ret);
	if (sa->sa_family == AF_INET && len >= sizeof ret->v4) {
		struct sockaddr_in v4;
		memcpy(&v4, sa, sizeof v4);
		set_v4(ret, (const uint8_t *)&v4.sin_addr, ntohs(v4.sin_port));
	} else if (sa->sa_family == AF_INET6 && len >= sizeof ret->v6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, sa, sizeof v6);
		set_v6(ret, v6.sin6_addr.s6_addr, ntohs(v6.sin6_port));
		/* Link-local peers are only reachable with their scope. */
		if (ret->any.sa_family == AF_INET6)
			ret->v6.sin6_scope_id = v6.sin6_scope_id;
	}
}

enum err net_address_parse_listen(struct view spec, struct net_address ret[2], size_t *ret_count)
{
	size_t colon = view_find_last(spec, ':');
	struct view host = view_sub(spec, 0, colon);
	uint64_t port;
	if (colon == spec.len || view_parse_u64(view_from(spec, colon + 1), 65535, &port) != ERR_OK)
		return err_set(ERR_SYNTAX, "a listen address ends in \":port\", such as \"*:25\" or \"[::1]:587\"");
	if (host.len == 0 || view_eq(host, VIEW("*"))) {
		static const uint8_t zero[16];
		set_v4(&ret[0], zero, (uint16_t)port);
		set_v6(&ret[1], zero, (uint16_t)port);
		*ret_count = 2;
		return ERR_OK;
	}
	bool bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
	uint8_t raw[16];
	size_t len = parse_ip(bracketed ? view_sub(host, 1, host.len - 2) : host, raw);
	if (len == 0)
		return err_set(
			ERR_SYNTAX, "a listen address starts with \"*\", an IPv4 address or \"[an IPv6 address]\"");
	if (bracketed != (len == 16))
		return err_set(ERR_SYNTAX, "brackets stand around IPv6 addresses, and only there: \"[::1]:587\"");
	*ret_count = 1;
	return net_address_from_bytes(view_of(raw, len), (uint16_t)port, &ret[0]);
}

struct net_address_text net_address_ip(const struct net_address *address)
{
	struct net_address_text ret = { "" };
	if (address->any.sa_family == AF_INET)
		inet_ntop(AF_INET, &address->v4.sin_addr, ret.text, sizeof ret.text);
	else if (address->any.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &address->v6.sin6_addr, ret.text, sizeof ret.text);
	return ret;
}

uint16_t net_address_port(const struct net_address *address)
{
	if (address->any.sa_family == AF_INET)
		return ntohs(address->v4.sin_port);
	return address->any.sa_family == AF_INET6 ? ntohs(address->v6.sin6_port) : 0;
}

bool net_address_is_v6(const struct net_address *address)
{
	return address->any.sa_family == AF_INET6;
}

static struct view raw_ip(const struct net_address *address)
{
	if (address->any.sa_family == AF_INET)
		return view_of(&address->v4.sin_addr, 4);
	return address->any.sa_family == AF_INET6 ? view_of(&address->v6.sin6_addr, 16) : VIEW_NONE;
}

static uint64_t big_endian(const void *from, size_t count)
{
	const uint8_t *bytes = from;
	uint64_t n = 0;
	for (size_t i = 0; i < count; i++)
		n = n << 8 | bytes[i];
	return n;
}

uint64_t net_address_network(const struct net_address *address)
{
	/* With a bit above the 48 an IPv6 network is no IPv4 network. */
	if (net_address_is_v6(address))
		return UINT64_C(1) << 48 | big_endian(&address->v6.sin6_addr, 6);
	return big_endian(&address->v4.sin_addr, 3);
}

bool net_address_is_loopback(const struct net_address *address)
{
	struct view raw = raw_ip(address);
	return raw.len == 4 ? raw.ptr[0] == 127 : raw.len == 16 && memcmp(raw.ptr, &in6addr_loopback, 16) == 0;
}

bool net_address_same_ip(const struct net_address *a, const struct net_address *b)
{
	struct view ip = raw_ip(a);
	return ip.len > 0 && view_eq(ip, raw_ip(b));
}

enum err net_range_parse(struct view text, struct net_range *ret)
{
	size_t slash = view_find(text, '/');
	uint8_t raw[16];
	size_t len = parse_ip(view_sub(text, 0, slash), raw);
	struct net_range range = { 0 };
	if (len == 0 || net_address_from_bytes(view_of(raw, len), 0, &range.base) != ERR_OK)
		return err_set(ERR_SYNTAX, "not an IP address or a range such as \"10.0.0.0/8\"");
	uint64_t bits = len * 8;
	if (slash < text.len && view_parse_u64(view_from(text, slash + 1), len * 8, &bits) != ERR_OK)
		return err_set(ERR_SYNTAX, "the number behind \"/\" is the length of the prefix, at most %zu", len * 8);
	if (len == 16 && !net_address_is_v6(&range.base)) {
		/* ::ffff:10.0.0.0/104 became 10.0.0.0; a prefix shorter than the mapping would mean both families. */
		if (bits < 96)
			return err_set(ERR_SYNTAX, "a range of IPv4-mapped addresses has a prefix of 96 or more");
		bits -= 96;
	}
	range.prefix_bits = (unsigned)bits;
	*ret = range;
	return ERR_OK;
}

bool net_range_contains(const struct net_range *range, const struct net_address *address)
{
	struct view base = raw_ip(&range->base);
	struct view ip = raw_ip(address);
	if (base.len == 0 || base.len != ip.len || range->prefix_bits > base.len * 8)
		return false;
	size_t whole = range->prefix_bits / 8;
	if (whole > 0 && memcmp(base.ptr, ip.ptr, whole) != 0)
		return false;
	unsigned rest = range->prefix_bits % 8;
	return rest == 0 || ((base.ptr[whole] ^ ip.ptr[whole]) >> (8 - rest)) == 0;
}
