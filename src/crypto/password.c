#include "crypto/password.h"

#include "crypto/sodium_private.h"

#include <sodium.h>
#include <string.h>

#define PASSWORD_MAX_BYTES 1024u

/* OWASP's recommendation for argon2id (19 MiB, 2 passes): some 20 ms on one core. More memory would make a burst of logins, which
 * anybody may start, dearer for us than for whoever guesses. A stored hash names its own cost, so this can be raised at any time. */
#define COST_PASSES 2u
#define COST_MEMORY_BYTES (19u * 1024 * 1024)

/* Nobody's hash, of the cost above: what a login without an account is compared with, so that both take as long. */
static const char nobody[] =
	"$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

enum err password_hash(struct view password, struct buf *ret_hash)
{
	if (password.len == 0)
		return err_set(ERR_SYNTAX, "the password is empty");
	if (password.len > PASSWORD_MAX_BYTES)
		return err_set(ERR_LIMIT, "the password is longer than %u bytes", PASSWORD_MAX_BYTES);
	crypto_sodium_ready();
	char hash[crypto_pwhash_STRBYTES];
	if (crypto_pwhash_str_alg(hash, (const char *)password.ptr, password.len, COST_PASSES, COST_MEMORY_BYTES,
		    crypto_pwhash_ALG_ARGON2ID13) != 0)
		return err_set(ERR_LIMIT, "there is not enough memory to hash a password");
	return buf_append_cstr(ret_hash, hash);
}

bool password_matches(struct view password, struct view hash)
{
	crypto_sodium_ready();
	char text[crypto_pwhash_STRBYTES] = { 0 };
	bool usable = password.len > 0 && password.len <= PASSWORD_MAX_BYTES && hash.len > 0 &&
		hash.len < sizeof text && view_starts_with(hash, VIEW("$argon2id$"));
	if (usable)
		memcpy(text, hash.ptr, hash.len);
	else
		memcpy(text, nobody, sizeof nobody);
	if (password.len == 0 || password.len > PASSWORD_MAX_BYTES)
		password = VIEW("-");
	bool matches = crypto_pwhash_str_verify(text, (const char *)password.ptr, password.len) == 0;
	return usable && matches;
}
