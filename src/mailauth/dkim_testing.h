/* What the tests of DKIM share: keys, a small DNS, and messages through verifier and signer. Included by tests only. */
#ifndef MAILAUTH_DKIM_TESTING_H
#define MAILAUTH_DKIM_TESTING_H

#include "mailauth/dkim.h"
#include "mailauth/dkim_record.h"
#include "mailauth/dkim_sign.h"
#include "mail/encode.h"
#include "mail/header.h"

#include <stdlib.h>
#include <string.h>

enum { TESTING_RECORDS_MAX = 16 };

/* One published record. `text` NULL: no answer can be had. */
struct testing_record {
	const char *name, *text;
};

static inline void testing_must(bool ok)
{
	if (!ok)
		abort();
}

/* All records of the name, in order; NXDOMAIN if there are none. */
static inline void testing_answer(struct dkim_verifier *verifier, const struct dkim_need *need,
	const struct testing_record *records, size_t count)
{
	struct dns_record found[TESTING_RECORDS_MAX];
	struct dns_answer answer = { .records = found };
	enum dkim_dns_status status = DKIM_DNS_NXDOMAIN;
	for (size_t i = 0; i < count; i++) {
		if (!view_eq(view_from_cstr(records[i].name), need->name))
			continue;
		status = records[i].text != NULL ? DKIM_DNS_OK : DKIM_DNS_FAILED;
		if (records[i].text == NULL || answer.record_count == TESTING_RECORDS_MAX)
			break;
		found[answer.record_count++] = (struct dns_record){ .type = DNS_TYPE_TXT,
			.data = view_from_cstr(records[i].text) };
	}
	testing_must(dkim_verifier_answer(verifier, need->token, status, &answer) == ERR_OK);
}

static inline void testing_answer_all(
	struct dkim_verifier *verifier, const struct testing_record *records, size_t count)
{
	struct dkim_need need;
	while (dkim_verifier_next(verifier, &need))
		testing_answer(verifier, &need, records, count);
}

static inline struct view testing_body(struct view message)
{
	return view_from(message, header_section_length(message));
}

/* A whole message through a verifier, its body in pieces of `step` bytes (0: at once). Whoever called frees it. */
static inline struct dkim_verifier *testing_verify(const struct dkim_verify_options *options, struct view message,
	size_t step, const struct testing_record *records, size_t count)
{
	struct dkim_verifier *verifier = dkim_verifier_new(options);
	struct view body = testing_body(message);
	testing_must(dkim_verifier_headers(verifier, message) == ERR_OK);
	testing_answer_all(verifier, records, count);
	for (size_t at = 0; at<body.len; at += step> 0 ? step : body.len)
		testing_must(dkim_verifier_body(verifier, view_sub(body, at, step > 0 ? step : body.len)) == ERR_OK);
	testing_must(dkim_verifier_end(verifier) == ERR_OK);
	testing_must(dkim_verifier_is_done(verifier));
	return verifier;
}

static inline size_t testing_passes(const struct dkim_verifier *verifier)
{
	size_t passes = 0;
	struct dkim_signature signature;
	for (size_t i = 0; i < dkim_verifier_count(verifier); i++)
		passes += dkim_verifier_result(verifier, i, &signature) && signature.result == DKIM_PASS;
	return passes;
}

/* The message with its signatures on top; the error of the header section if that refuses. */
static inline enum err testing_sign(
	const struct dkim_sign_options *options, struct view message, size_t step, struct buf *out)
{
	struct dkim_signer *signer = NULL;
	struct view body = testing_body(message);
	enum err err = dkim_signer_new(options, &signer);
	if (err == ERR_OK)
		err = dkim_signer_headers(signer, message);
	for (size_t at = 0; err == ERR_OK && at<body.len; at += step> 0 ? step : body.len)
		err = dkim_signer_body(signer, view_sub(body, at, step > 0 ? step : body.len));
	if (err == ERR_OK)
		err = dkim_signer_finish(signer, out);
	if (err == ERR_OK)
		err = buf_append(out, message);
	dkim_signer_free(signer);
	return err;
}

/* True if the result is that one, with a reason that begins so (NULL: none). */
static inline bool testing_is(const struct dkim_signature *got, enum dkim_result want, const char *reason)
{
	return got->result == want &&
		(reason == NULL ? got->reason == NULL
				: got->reason != NULL &&
					view_starts_with(view_from_cstr(got->reason), view_from_cstr(reason)));
}

/* Every line end as CRLF. */
static inline void testing_crlf(struct view text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\n' && (i == 0 || text.ptr[i - 1] != '\r'))
			testing_must(buf_append_byte(out, '\r') == ERR_OK);
		testing_must(buf_append_byte(out, text.ptr[i]) == ERR_OK);
	}
}

/* Keys of RFC 8463 A.2 (Ed25519; the RSA key's public half), as published. */
#define TESTING_ED25519_RECORD "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define TESTING_ED25519_SEED "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
#define TESTING_RSA_RECORD                                                                                             \
	"v=DKIM1; k=rsa; "                                                                                             \
	"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/"      \
	"byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/"     \
	"K4w3QIDAQAB"

/* Made with the openssl command; nobody's. */
#define TESTING_RSA_768                                                                                                \
	"-----BEGIN RSA PRIVATE KEY-----\n"                                                                            \
	"MIIBzAIBAAJhANyNCrMFk9PHqsMr19LeTWqVdSuWbfGT1VcT+R2vdp1XyJyjDs/W\n"                                           \
	"Lul4ZlfxOqb88E8oyCy9kPgdjj6InXhAKDCCr6WffUrJ17VHcNpAP9QGJHrYvhY9\n"                                           \
	"xaKDNRGHXU/HAwIDAQABAmEAjbnMwFG7NwI9x4FrBUR5Nx6n1sSqDe1T0Msy8FKK\n"                                           \
	"xH1emtllcUVPjBQkoCqR6DDtAZkuFbtVFndRPIcST/J/4WA4ejHwkzAsgTIN7YD9\n"                                           \
	"55WlKX0kCSm31q/8qfGUw1+RAjEA/9BouESOHM8s8xyBYJ8zXOgqX8bxO6IcUaOJ\n"                                           \
	"277CM/Sdp6gtF/XudKDCYFWxKnnfAjEA3LYSjaqiDEMJ9+kk787dMXVt1KhAv7nR\n"                                           \
	"bz9K2KEzdg4RxBBgUzbZt7ojRI2m0J9dAjBO0gdCJ5VmGQuviKvwen0X9k0AH8s6\n"                                           \
	"ZZO2L96NP7SUz504CGCEjnk/pDzf8+dXwB8CMQDRfWv81VH8a4FBsyShDet7b2dx\n"                                           \
	"KsZSdNAqVJv5JIDQ9Ce+voB/W5epQN8KyZzlde0CMQCMXYfMpbCJ0nBL5o5ZLJ/R\n"                                           \
	"RrBYrgrjpMYvvB0UATX+ZmO/+YjwovyQ2ZBOj+lGyBA=\n"                                                               \
	"-----END RSA PRIVATE KEY-----\n"
#define TESTING_RSA_1024                                                                                               \
	"-----BEGIN RSA PRIVATE KEY-----\n"                                                                            \
	"MIICXAIBAAKBgQC3l1qAA799YgHnANyeSgb6Jocu2H4j+iYGo5sOzxTbj77OvBoX\n"                                           \
	"7MJG0H3CPCU11vKaa1tfgaQZZb3qAw2BGCZ5pmi3tdQjp0aOc0hqr+IixpYC7kro\n"                                           \
	"X1QpD6TLG1KqwPzCYb1uTUvM3GchoFqZaKHrjvpTzzPjcom95Ki7n/4+SQIDAQAB\n"                                           \
	"AoGATUFZiekJ2X82gbixHcLU8Mrps+LSId2Pxtdt1mt5wXLZvjEVYd/1WMs/QE8C\n"                                           \
	"8YcEC8sFZkktfqp7ok+qjRpWhb/PrTIcdMUkgl2F4WouwDtUtNqxaFSSmThcsuo7\n"                                           \
	"+CuD6XoCxyLopc0I5Gbpse/8ZUssWR4RmnNieRpoCAJraokCQQDhxQjG51y9oi78\n"                                           \
	"b54dJvdvW3x31UBz3UpA7vtK5CQRf7oyp5Cj4GYfg+sFy1f/BZvrA3FM+tCUxI9B\n"                                           \
	"0nsgGNxnAkEA0CyFPLL5buS+gDhdoAECSqaq7lWx9sMaMI0fc51Otxl5c/FMuUIH\n"                                           \
	"3veovxO7L9AiWDhrHCScEyy3snok//dhzwJAIS2Sd6CCeX+/BevlQYV7cUrxhK67\n"                                           \
	"FQvdIKO+HChgwI2TsGP9loegmlsJi8VxPhH18tiDqvtk8afdIaAr5fChWwJAA+Gw\n"                                           \
	"ok8cA4tUWgOzCza5mja9XTBP3zAIHvuiqH84ZoWdFCJdsd6fUvL/PIDbrqqM2WRD\n"                                           \
	"6wRrvJfK3RMV+YfdVQJBAM6hGEm6FCJM6XflcnZuWREVZb/RKJluToN+iPm3FEoe\n"                                           \
	"66ISAGxYECq9jlWkzmPNUKkSIFhzbAQKawDtTatfw/E=\n"                                                               \
	"-----END RSA PRIVATE KEY-----\n"
#define TESTING_RSA_2048                                                                                               \
	"-----BEGIN RSA PRIVATE KEY-----\n"                                                                            \
	"MIIEogIBAAKCAQEAr5xgoMq//rvgAAqXE8CXLSs1bvg705v579cipMorPdH+Jju9\n"                                           \
	"UqC26CVGI7jrWKVmpIFerCTBgWHo0GdMcW1hVZFHYcQFAxORQiPdsY3kO3ce/RtJ\n"                                           \
	"tu1xnRJSZu+xbDDcfZVxI6bJgly+zXG0sV0jK4iuncOyXOb4b+PScEw6zR4Exzgz\n"                                           \
	"zcP3HUWn0saHJslAAPpKL8g4I9Dmr7L90alwN7IEPJ/RvY+i5LIu945yE3JhH91l\n"                                           \
	"krv3HEQJUPNRa/AuYU24FyVyUjBEIkjpS3mltWS8p1X419ghUCa0BTxhKvibH01k\n"                                           \
	"hUW7NqnOnr8Xc7tdUgJEPO5pf51gXNBrh6xApQIDAQABAoIBAAYMk3GGemWacCVg\n"                                           \
	"OAMIq8x1BBKt/1WTNmFSHlHh2up2vNPxU9ywR4yomAlr+cNkcywwfqPcYkQELOJc\n"                                           \
	"5I+1rlgluHlAKNIJzwOhu6W9lwKLYGhkk7324OaBto/wKsLozfePecW6HY/dhP8L\n"                                           \
	"ryc655a8zxMFJjQ4Co/EH8AZiB7/nov7ufyykivjTuOpT6H6rXJLxwEP8zT1w/bf\n"                                           \
	"xkjBB+paeazFCPB8uS4RD9diVpPZM6+j2nnBGEtZh0JnvPfo1XwDnDFLd2CIPRBX\n"                                           \
	"gCPa2QTgpZ1w0k1DoQxL55M1fYAol8zToUc2GCIOX2baRcFc2JPt0/ybeSXuvlcO\n"                                           \
	"wzvoSyECgYEA6JgY0HfSO0Y2GsKeh1HTSveCduWJfiPJUNO8GMS+MUe+EEMKlDnO\n"                                           \
	"iMvx1qJldVz3J5ZK1KR06aX9yRDE5Nc8e4xAtHILmQg5PISuonywB74eCmxutZSE\n"                                           \
	"24yBxuBmG71RU2ks8O0A5ccgUSKN6IW2FdGX54bDv4gI0fM/7Ta8HvUCgYEAwUhS\n"                                           \
	"tGzYLU0cuwzYTXpRtL4IJjQUn+2peN6osAhnZj5TF5yDwMW8CWTfM0HOGgFoK2/i\n"                                           \
	"C9gLDv/KsIYmN4y6zE7GV73cXdp62Joxf0wYgDrJcm7KfQfMWRt6TXbRUIZOqbKt\n"                                           \
	"Di075I64q1Rs/U1SV1it9T3aoaSVfUE9OZOdLPECgYB9yuSAuozkqdBRILiEDujr\n"                                           \
	"Pnk8vF9j7Q7Pu/Oaoa0LEfXk7Z0nFSxyJ3qfzix5ENJKgqnt3xOr2a4rs/oIma+I\n"                                           \
	"Ug4ciSFknmH2LPwVvMGnLlco5APsCGriIld9q5cNoZH+Pn+jvUoi+1KrDrkY7FfR\n"                                           \
	"7Qzulp//Uh8TDS+hp1yOkQKBgE4puEB8r+OKBq9iH2sdp0MnglYow5p1Ww6lRKSD\n"                                           \
	"kYUYeTPYOLPRgxxtbZHl77o2jXDbexd9E+PJ76b5aSUXxUbwKGe9QQu3WeyUVqX7\n"                                           \
	"GQFqRKMBSOPNLoduhEQlY7pjxhX8St2rz0e7q9SlfLnm9gCavSarD+pEi6uuoVrS\n"                                           \
	"ZkKRAoGAKBwB7m/DCycxDGniz83yHpAsjT0Lm6g2tzZqm34lpT1B3zq5Rqg8lIQq\n"                                           \
	"6nUi0tIQrR9MniAvuelvlt51xc4qG6ov8sU63jjHCa9pvGufq++MoEi39+Gti1bC\n"                                           \
	"oPrdc5TZAy/4+li9hm/fbaCHfyTT9HDD/sXiyag/pGjZYTlhIZk=\n"                                                       \
	"-----END RSA PRIVATE KEY-----\n"

static inline struct signature_private *testing_key(const char *pem)
{
	struct signature_private *key = NULL;
	testing_must(signature_private_read_pem(view_from_cstr(pem), &key) == ERR_OK);
	return key;
}

/* RFC 8463 A.2. */
static inline struct signature_private *testing_ed25519_key(void)
{
	struct signature_private *key = NULL;
	struct buf seed = { 0 };
	testing_must(base64_decode(VIEW(TESTING_ED25519_SEED), &seed) == ERR_OK);
	testing_must(signature_private_read_raw(buf_view(&seed), &key) == ERR_OK);
	buf_clear(&seed);
	return key;
}

#endif
