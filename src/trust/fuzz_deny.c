/*
 * Deny-lists, alone and several in one text, as peers send them; by no anchor and by a malformed
 * one.
 */
#include "base/log.h"
#include "trust/deny.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct str text = { (const char *)data, size };
	struct deny_list list;
	struct err err = { 0 };
	log_set_level(LOG_ERROR + 1);
	if (deny_list_parse(text, text, &list, &err) == 0) {
		deny_list_deinit(&list);
	}
	struct deny_set *set = deny_set_new("/nonexistent", clock_system());
	deny_set_use_anchors(set, text);
	if (deny_set_merge(set, text, &err) >= 0) {
		(void)deny_set_denies(set, "a.b.serviceaccount.identity.linkerd.c", "", "", &err);
	}
	deny_set_free(set);
	return 0;
}
