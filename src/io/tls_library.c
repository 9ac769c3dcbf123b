#include "io/tls_library.h"

#include "base/check.h"
#include "base/memory.h"

#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

/* Kinds of keys: those of certificates, and of TLS' own secrets. */
static const char *const key_names[] = { "EC", "RSA", "ED25519", "X25519", "HKDF", "TLS1-PRF" };
static const char public_keys[] = "structure=SubjectPublicKeyInfo";

/* Written once, under pthread_once, as OpenSSL's own default context is. */
static struct {
	OSSL_LIB_CTX *context;
	OSSL_PROVIDER *base;
	OSSL_ALGORITHM *keys;
	OSSL_ALGORITHM *decoders;
} library;

/* An algorithm has several names with colons between them, the usual one first. */
static bool is_wanted_key(const OSSL_ALGORITHM *algorithm) {
	for (size_t i = 0; i < ARRAY_COUNT(key_names); i++) {
		size_t len = strlen(key_names[i]);
		const char *names = algorithm->algorithm_names;
		if (strncmp(names, key_names[i], len) == 0 &&
			(names[len] == ':' || names[len] == '\0')) {
			return true;
		}
	}
	return false;
}

static bool is_wanted_decoder(const OSSL_ALGORITHM *algorithm) {
	return is_wanted_key(algorithm) && strstr(algorithm->property_definition, public_keys);
}

/* Those of an operation that are wanted, and the end mark. */
static OSSL_ALGORITHM *choose(int operation, bool (*is_wanted)(const OSSL_ALGORITHM *algorithm)) {
	int is_volatile = 0;
	const OSSL_ALGORITHM *all =
		OSSL_PROVIDER_query_operation(library.base, operation, &is_volatile);
	CHECK(all && !is_volatile);
	size_t count = 0;
	while (all[count].algorithm_names) {
		count++;
	}
	OSSL_ALGORITHM *chosen = MEMORY_NEW(OSSL_ALGORITHM, count + 1);
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		if (is_wanted(&all[i])) {
			chosen[used++] = all[i];
		}
	}
	CHECK(used > 0);
	return chosen;
}

static const OSSL_ALGORITHM *query(void *context, int operation, int *is_volatile) {
	(void)context;
	*is_volatile = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT:
		return library.keys;
	case OSSL_OP_DECODER:
		return library.decoders;
	default:
		return OSSL_PROVIDER_query_operation(library.base, operation, is_volatile);
	}
}

/* Which groups there are for key exchange; those without a kind of key here are left out by libssl.
 */
static int get_capabilities(
	void *context, const char *capability, OSSL_CALLBACK *callback, void *argument) {
	(void)context;
	return OSSL_PROVIDER_get_capabilities(library.base, capability, callback, argument);
}

/* Our provider is the default one with fewer kinds of keys: its functions get its own context. */
static int start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
	void **context) {
	static const OSSL_DISPATCH functions[] = {
		{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
		{ OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))get_capabilities },
		{ 0, NULL },
	};
	(void)handle, (void)in;
	*out = functions;
	*context = OSSL_PROVIDER_get0_provider_ctx(library.base);
	return 1;
}

static void make(void) {
	CHECK(OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, NULL) == 1); /* For our errors. */
	library.base = OSSL_PROVIDER_load(NULL, "default");
	library.context = OSSL_LIB_CTX_new();
	CHECK(library.base && library.context);
	library.keys = choose(OSSL_OP_KEYMGMT, is_wanted_key);
	library.decoders = choose(OSSL_OP_DECODER, is_wanted_decoder);
	CHECK(OSSL_PROVIDER_add_builtin(library.context, "atoll", start) == 1);
	CHECK(OSSL_PROVIDER_load(library.context, "atoll"));
}

OSSL_LIB_CTX *tls_library(void) {
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	CHECK(pthread_once(&once, make) == 0);
	return library.context;
}
