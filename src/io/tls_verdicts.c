#include "io/tls_verdicts.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void tls_verdicts_init(struct tls_verdicts *verdicts) {
	lock_init(&verdicts->lock, LOCK_RANK_LEAF);
}

void tls_verdicts_deinit(struct tls_verdicts *verdicts) {
	lock_take(&verdicts->lock);
	for (size_t i = 0; i < TLS_VERDICT_PLACES; i++) {
		for (size_t j = 0; j < TLS_VERDICT_WAYS; j++) {
			free(verdicts->kept[i][j]);
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

bool tls_verdicts_find(struct tls_verdicts *verdicts, const unsigned char digest[TLS_DIGEST_BYTES],
	int64_t now_ms, struct tls_peer *peer) {
	lock_take(&verdicts->lock);
	const struct tls_verdict *verdict = look(verdicts, digest);
	bool is_known = verdict && is_valid_at(verdict, now_ms);
	if (is_known) {
		struct tls_peer found = verdict->peer;
		memcpy(found.alpn, peer->alpn, sizeof(found.alpn));
		*peer = found;
	}
	lock_drop(&verdicts->lock);
	return is_known;
}

void tls_verdicts_keep(struct tls_verdicts *verdicts, const struct tls_verdict *verdict) {
	size_t place = place_of(verdict->digest);
	lock_take(&verdicts->lock);
	struct tls_verdict *kept = look(verdicts, verdict->digest);
	if (!kept) {
		size_t way = verdicts->next[place]++ % TLS_VERDICT_WAYS;
		if (!verdicts->kept[place][way]) {
			verdicts->kept[place][way] = MEMORY_NEW(struct tls_verdict, 1);
		}
		kept = verdicts->kept[place][way];
	}
	*kept = *verdict;
	lock_drop(&verdicts->lock);
}
