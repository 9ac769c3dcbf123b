/*
 * Requests for certificates, as anybody may send them to an issuing service.
 */
#include "trust/identity.h"
#include "trust/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct str text = { (const char *)data, size };
	char identity[IDENTITY_LEN_MAX + 1];
	EVP_PKEY *key = NULL;
	struct err err = { 0 };
	if (request_parse(text, &key, identity, sizeof(identity), &err) == 0) {
		EVP_PKEY_free(key);
	}
	return 0;
}
