/*
 * For tests: a folder with an anchor and an issuer for cluster "west", and a clock of the test's
 * own.
 */
#ifndef TRUST_TEST_FOLDER_H
#define TRUST_TEST_FOLDER_H

#include "base/log.h"
#include "base/test.h"
#include "io/file.h"
#include "io/loop.h"
#include "trust/authority.h"

#include <unistd.h>

/* 2026-11-22T10:00:00Z */
#define FOLDER_NOW_MS INT64_C(1795341600000)
#define FOLDER_HOUR_MS (INT64_C(3600) * MS_PER_S)
#define FOLDER_IDENTITY "gateway.atoll.serviceaccount.identity.linkerd.west.mesh"

struct folder {
	char path[64];
	struct clock clock;
	struct loop *loop;
	struct authority *anchor;
	struct authority *issuer;
};

static inline const char *folder_path(const struct folder *folder, const char *name) {
	static char path[256];
	(void)snprintf(path, sizeof(path), "%s/%s", folder->path, name);
	return path;
}

/* Signs a leaf into 'name'; 'lifetime_ms' 0: a day. */
static inline void folder_sign(struct folder *folder, const char *name, int64_t lifetime_ms) {
	AUTO(credentials_deinit) struct credentials leaf = { 0 };
	const struct leaf_request request = { STR("gateway"), STR("atoll"), lifetime_ms };
	struct err err = { 0 };
	assert_ok(authority_sign(folder->issuer, &request, &folder->clock, &leaf, &err), err);
	assert_ok(credentials_save(folder_path(folder, name), &leaf, &err), err);
}

static inline void folder_init(struct folder *folder) {
	struct err err = { 0 };
	*folder = (struct folder){ 0 };
	log_set_level(LOG_ERROR);
	(void)snprintf(folder->path, sizeof(folder->path), "/tmp/atoll-trust-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	clock_init_manual(&folder->clock, FOLDER_NOW_MS);
	folder->loop = loop_new(&folder->clock);
	assert_ok(authority_new_anchor(STR("mesh"), 0, &folder->clock, &folder->anchor, &err), err);
	assert_ok(authority_new_issuer(
			  folder->anchor, STR("west"), 0, &folder->clock, &folder->issuer, &err),
		err);
	assert_ok(authority_save(folder->issuer, folder_path(folder, "issuer"), &err), err);
	folder_sign(folder, "leaf", 0);
}

static inline void folder_deinit(struct folder *folder) {
	struct err err = { 0 };
	loop_free(folder->loop);
	authority_free(folder->issuer);
	authority_free(folder->anchor);
	assert_ok(dir_remove_tree(folder->path, &err), err);
}

/* Lets time pass, and what is due happen. */
static inline void folder_pass(struct folder *folder, int64_t ms) {
	clock_advance_ms(&folder->clock, ms);
	loop_wake(folder->loop);
	loop_run_once(folder->loop);
	loop_run_once(folder->loop);
}

#endif
