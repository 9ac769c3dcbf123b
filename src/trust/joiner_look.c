#include "base/log.h"
#include "io/file.h"
#include "trust/authority.h"
#include "trust/certificate.h"
#include "trust/joiner_internal.h"

#include <stdio.h>
#include <string.h>

#define ANCHORS_BYTES_MAX ((size_t)1024 * 1024)

static void complain(struct joiner *joiner, const struct err *err) {
	if (!joiner->look_failed) {
		log_warn("issuing service not asked whom it believes, will try again",
			KV("url", joiner->options.url), KV_ERR(err));
	}
	joiner->look_failed = true;
	joiner_wait(joiner);
}

/* Returns whether that is worth a try, and remembers it. */
static bool is_news(struct joiner_tried *tried, const char *own, const char *told) {
	if (strcmp(own, told) == 0 ||
		(strcmp(tried->own, own) == 0 && strcmp(tried->told, told) == 0)) {
		return false;
	}
	(void)snprintf(tried->own, sizeof(tried->own), "%s", own);
	(void)snprintf(tried->told, sizeof(tried->told), "%s", told);
	return true;
}

static int judge(const struct joiner *joiner, const struct fetch_result *result, struct err *err) {
	if (result->failure) {
		*err = *result->failure;
		return err->code;
	}
	if (result->status != 200) {
		return err_set(err, ERR_DENIED, "%s answered %d: %.*s", joiner->options.url,
			result->status, STR_ARG(str_trim(str_first(result->body, 300))));
	}
	return 0;
}

static void on_lists(struct fetch *fetch, const struct fetch_result *result) {
	struct joiner *joiner = fetch_context(fetch);
	struct err err = { 0 };
	joiner->fetch = NULL;
	int rc = judge(joiner, result, &err);
	if (rc < 0) {
		memset(&joiner->denied_tried, 0, sizeof(joiner->denied_tried));
		complain(joiner, &err);
		return;
	}
	if (deny_set_merge(joiner->denied, result->body, &err) < 0) {
		log_warn("deny-lists of the issuing service not all taken", KV_ERR(&err));
	}
	joiner_wait(joiner);
}

static void exchange_lists(struct joiner *joiner) {
	static const char *const headers[] = { "Content-Type: text/plain", NULL };
	AUTO(buf_deinit) struct buf lists = { 0 };
	deny_set_write(joiner->denied, &lists);
	joiner_fetch(joiner, "POST", "/v1/denied", headers, buf_str(&lists), on_lists);
}

/* A line "NAME VALUE" of an answer; empty if there is none. */
static struct str find_line(struct str text, struct str name) {
	while (text.len > 0) {
		struct str line = str_cut(&text, '\n');
		if (str_equal(str_cut(&line, ' '), name)) {
			return line;
		}
	}
	return STR("");
}

static int read_anchors(const struct joiner *joiner, struct buf *out, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	buf_printf(&path, "%s/ca.crt", joiner->options.directory);
	return file_read(buf_text(&path), ANCHORS_BYTES_MAX, out, err);
}

/* Compares what the service believes with what we do. */
static int compare(struct joiner *joiner, struct str body, struct err *err) {
	AUTO(buf_deinit) struct buf anchors = { 0 };
	char own[65];
	char told[65];
	int rc = read_anchors(joiner, &anchors, err);
	if (rc == 0) {
		rc = certificates_digest(buf_str(&anchors), own, err);
	}
	if (rc < 0) {
		return rc;
	}
	(void)snprintf(told, sizeof(told), "%.*s",
		STR_ARG(str_first(find_line(body, STR("anchors")), 64)));
	if (told[0] && is_news(&joiner->anchors_tried, own, told)) {
		log_info("the issuing service believes other anchors", KV("ours", own),
			KV("its", told));
		joiner_renew(joiner);
		return 0;
	}
	deny_set_use_anchors(joiner->denied, buf_str(&anchors));
	(void)deny_set_load(joiner->denied);
	(void)snprintf(
		own, sizeof(own), "%016llx", (unsigned long long)deny_set_digest(joiner->denied));
	(void)snprintf(
		told, sizeof(told), "%.*s", STR_ARG(str_first(find_line(body, STR("denied")), 64)));
	if (told[0] && is_news(&joiner->denied_tried, own, told)) {
		exchange_lists(joiner);
	} else {
		joiner_wait(joiner);
	}
	return 0;
}

static void on_digests(struct fetch *fetch, const struct fetch_result *result) {
	struct joiner *joiner = fetch_context(fetch);
	struct err err = { 0 };
	joiner->fetch = NULL;
	int rc = judge(joiner, result, &err);
	if (rc == 0) {
		rc = compare(joiner, result->body, &err);
	}
	if (rc < 0) {
		complain(joiner, &err);
	} else {
		joiner->look_failed = false;
	}
}

void joiner_look(struct joiner *joiner) {
	joiner_fetch(joiner, "GET", "/v1/trust", NULL, STR(""), on_digests);
}
