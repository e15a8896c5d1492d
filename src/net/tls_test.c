#include "net/testing.h"

#include "net/testing_certificates.h"
#include "net/tls.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make(void **state)
{
	(void)state;
	certificates_make();
	return 0;
}

static int remove_all(void **state)
{
	(void)state;
	certificates_remove();
	return 0;
}

static void servers_say_what_is_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *name, *certificate, *key, *minimum, *sentence;
	} cases[] = {
		{ "good", "cert.pem", "key.pem", NULL, NULL },
		{ "good RSA", "rsa.pem", "rsa-key.pem", "1.3", NULL },
		{ "old devices", "cert.pem", "key.pem", "1.0", NULL },
		{ "no certificate", "missing.pem", "key.pem", NULL,
			"cannot read the TLS certificate file */missing.pem: No such file or directory" },
		{ "no key", "cert.pem", "missing.pem", NULL,
			"cannot read the TLS key file */missing.pem: No such file or directory" },
		{ "empty certificate", "empty.pem", "key.pem", NULL, "the TLS certificate file */empty.pem is empty" },
		{ "certificate is text", "text.pem", "key.pem", NULL,
			"the TLS certificate file */text.pem holds no certificate in PEM form (" },
		{ "certificate is a key", "key.pem", "key.pem", NULL,
			"the TLS certificate file */key.pem holds no certificate in PEM form (" },
		{ "key is text", "cert.pem", "text.pem", NULL,
			"the TLS key file */text.pem holds no private key in PEM form (" },
		{ "key is a certificate", "cert.pem", "cert.pem", NULL,
			"the TLS key file */cert.pem holds no private key in PEM form (" },
		{ "key of another certificate", "cert.pem", "rsa-key.pem", NULL,
			"the TLS key in */rsa-key.pem does not belong to the certificate in */cert.pem" },
		{ "key of the same type, but another", "ca.pem", "key.pem", NULL,
			"the TLS key in */key.pem does not belong to the certificate in */ca.pem" },
		{ "passphrase", "cert.pem", "locked-key.pem", NULL,
			"the TLS key file */locked-key.pem is protected by a passphrase" },
		{ "a folder", ".", "key.pem", NULL, "cannot read the TLS certificate file */.: Is a directory" },
		{ "version", "cert.pem", "key.pem", "TLSv1.2", "the lowest TLS version is " },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		print_message("  %s\n", cases[i].name);
		struct tls_context *context = tls_context_new_server(&(struct tls_server_options){
			.certificate_file = certificate_path(cases[i].certificate),
			.key_file = certificate_path(cases[i].key),
			.minimum_version = cases[i].minimum,
		});
		if (cases[i].sentence == NULL) {
			assert_non_null(context);
			assert_ptr_equal(tls_context_ref(context), context);
			tls_context_unref(context);
			tls_context_unref(context);
			continue;
		}
		assert_null(context);
		/* Compared without the folders: "*" stands for one. */
		char said[512];
		size_t len = 0;
		const char *folder = certificate_path("");
		size_t folder_len = strlen(folder) - 1;
		for (const char *at = err_detail(); *at != '\0' && len + 1 < sizeof said;) {
			if (strncmp(at, folder, folder_len) == 0) {
				said[len++] = '*';
				at += folder_len;
			} else {
				said[len++] = *at++;
			}
		}
		said[len] = '\0';
		if (strncmp(said, cases[i].sentence, strlen(cases[i].sentence)) != 0)
			fail_msg("said: %s", said);
	}
}

static void unreadable_key_is_named(void **state)
{
	(void)state;
	if (geteuid() == 0)
		skip(); /* root reads everything */
	assert_int_equal(chmod(certificate_path("key.pem"), 0), 0);
	struct tls_context *context = tls_context_new_server(&(struct tls_server_options){
		.certificate_file = certificate_path("cert.pem"), .key_file = certificate_path("key.pem") });
	assert_null(context);
	assert_non_null(strstr(err_detail(), "Permission denied"));
	assert_int_equal(chmod(certificate_path("key.pem"), 0600), 0);
}

static void clients_say_what_is_wrong(void **state)
{
	(void)state;
	assert_null(tls_context_new_client(TLS_VERIFY_REQUIRED, certificate_path("missing.pem")));
	assert_non_null(strstr(err_detail(), "cannot read the file of certificate authorities "));
	assert_null(tls_context_new_client(TLS_VERIFY_NONE, certificate_path("text.pem")));
	assert_non_null(strstr(err_detail(), "holds no certificate in PEM form"));
	struct tls_context *context = tls_context_new_client(TLS_VERIFY_REQUIRED, NULL);
	assert_non_null(context);
	tls_context_unref(context);
	tls_context_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_say_what_is_wrong),
		cmocka_unit_test(unreadable_key_is_named),
		cmocka_unit_test(clients_say_what_is_wrong),
	};
	return cmocka_run_group_tests(tests, make, remove_all);
}
