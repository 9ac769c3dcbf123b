/*
 * What a peer presents and what lies in a directory: the first byte chooses how it is read.
 */
#include "trust/certificate.h"
#include "trust/identity.h"
#include "trust/verify.h"
#include "trust/x509.h"

#define NOW_MS INT64_C(1795341600000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *context, struct str der) {
	struct certificate_info info;
	(void)context;
	(void)!certificate_read(der, &info, NULL);
}

/* A chain of three: the second and third byte say where the first two end. */
static void judge_chain(struct str bytes) {
	char name[IDENTITY_LEN_MAX + 1];
	if (bytes.len < 2) {
		return;
	}
	size_t leaf_len = (unsigned char)bytes.ptr[0] * (size_t)8;
	size_t issuer_len = (unsigned char)bytes.ptr[1] * (size_t)8;
	struct str rest = str_from(bytes, 2);
	struct str leaf = str_first(rest, leaf_len);
	rest = str_from(rest, leaf.len);
	struct str issuer = str_first(rest, issuer_len);
	const struct str chain[] = { leaf, issuer, str_from(rest, issuer.len) };
	(void)!trust_verify(NULL, chain, 3, true, name, sizeof(name), NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	char name[IDENTITY_LEN_MAX + 1];
	char digest[65];
	struct identity identity;
	if (size == 0) {
		return 0;
	}
	struct str bytes = { (const char *)data + 1, size - 1 };
	switch (data[0] % 4) {
	case 0:
		ignore(NULL, bytes);
		judge_chain(bytes);
		break;
	case 1:
		(void)!certificates_walk(bytes, ignore, NULL, NULL);
		(void)!certificates_digest(bytes, digest, NULL);
		break;
	case 2:
		(void)!trust_verify_pem(bytes, bytes, NOW_MS, false, name, sizeof(name), NULL);
		break;
	default:
		(void)!identity_parse(bytes, &identity, NULL);
		break;
	}
	return 0;
}
