#include "io/tls_verdicts.h"

#include "base/check.h"
#include "base/memory.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

void tls_verdicts_init(struct tls_verdicts *verdicts) {
	lock_init(&verdicts->lock, LOCK_RANK_LEAF);
}

static void drop(struct tls_verdict *verdict) {
	if (verdict) {
		X509_free(verdict->leaf);
		free(verdict);
	}
}

void tls_verdicts_deinit(struct tls_verdicts *verdicts) {
	lock_take(&verdicts->lock);
	for (size_t i = 0; i < TLS_VERDICT_PLACES; i++) {
		for (size_t j = 0; j < TLS_VERDICT_WAYS; j++) {
			drop(verdicts->kept[i][j]);
		}
	}
	lock_drop(&verdicts->lock);
	lock_deinit(&verdicts->lock);
}

/* Digests are spread evenly, so a byte of theirs is as good as a hash. */
static size_t place_of(const unsigned char *digest) {
	return digest[0] % TLS_VERDICT_PLACES;
}

static struct tls_verdict *look(struct tls_verdicts *verdicts, const unsigned char *digest)
	REQUIRES(verdicts->lock) {
	struct tls_verdict *const *kept = verdicts->kept[place_of(digest)];
	for (size_t i = 0; i < TLS_VERDICT_WAYS; i++) {
		if (kept[i] && memcmp(kept[i]->digest, digest, TLS_DIGEST_BYTES) == 0) {
			return kept[i];
		}
	}
	return NULL;
}

/* As OpenSSL compares: in whole seconds, the last of which no longer counts. */
static bool is_valid_at(const struct tls_verdict *verdict, int64_t now_ms) {
	int64_t now_s = now_ms / MS_PER_S;
	return verdict->not_before_ms / MS_PER_S <= now_s &&
	       now_s < verdict->peer.chain_not_after_ms / MS_PER_S;
}

X509 *tls_verdicts_find(struct tls_verdicts *verdicts, const unsigned char digest[TLS_DIGEST_BYTES],
	int64_t now_ms, struct tls_peer *peer) {
	X509 *leaf = NULL;
	lock_take(&verdicts->lock);
	const struct tls_verdict *verdict = look(verdicts, digest);
	if (verdict && is_valid_at(verdict, now_ms)) {
		struct tls_peer found = verdict->peer;
		memcpy(found.alpn, peer->alpn, sizeof(found.alpn));
		*peer = found;
		leaf = verdict->leaf;
		CHECK(X509_up_ref(leaf) == 1);
	}
	lock_drop(&verdicts->lock);
	return leaf;
}

void tls_verdicts_keep(struct tls_verdicts *verdicts, const struct tls_verdict *verdict) {
	struct tls_verdict *kept = MEMORY_NEW(struct tls_verdict, 1);
	*kept = *verdict;
	CHECK(X509_up_ref(kept->leaf) == 1);
	size_t place = place_of(verdict->digest);
	lock_take(&verdicts->lock);
	if (look(verdicts, verdict->digest)) { /* By another thread meanwhile. */
		drop(kept);
	} else {
		size_t way = verdicts->next[place]++ % TLS_VERDICT_WAYS;
		drop(verdicts->kept[place][way]);
		verdicts->kept[place][way] = kept;
	}
	lock_drop(&verdicts->lock);
}
