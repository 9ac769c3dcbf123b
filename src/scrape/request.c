#include "scrape/request.h"

#include "base/check.h"
#include "base/time.h"
#include "io/file.h"
#include "scrape/scrape.h"

#include <inttypes.h>

/* A password or token file is small. */
#define SECRET_BYTES_MAX 65536

static const struct protocol {
	const char *name;
	const char *media_type;
	const char *parameters;
	bool escapes; /* Asks for an escaping of names. */
} protocols[] = {
	{ "OpenMetricsText1.0.0", "application/openmetrics-text", ";version=1.0.0", true },
	{ "OpenMetricsText0.0.1", "application/openmetrics-text", ";version=0.0.1", false },
	{ "PrometheusText1.0.0", "text/plain", ";version=1.0.0", true },
	{ "PrometheusText0.0.4", "text/plain", ";version=0.0.4", false },
};

/* Enough for an Accept header with all formats. */
#define HEADER_BYTES_TYPICAL 320

/* Prometheus knows five formats: weights fall from 0.6. */
#define WEIGHT_MAX 6

static const struct protocol *find_protocol(struct str name) {
	for (size_t i = 0; i < ARRAY_COUNT(protocols); i++) {
		if (str_equal(name, str_of(protocols[i].name))) {
			return &protocols[i];
		}
	}
	return NULL;
}

void scrape_request_accept(const struct config_scrape_limits *limits, struct buf *out) {
	int weight = WEIGHT_MAX;
	for (size_t i = 0; i < limits->scrape_protocols.count; i++) {
		const struct protocol *protocol = find_protocol(limits->scrape_protocols.items[i]);
		CHECK(protocol);
		buf_add_text(out, protocol->media_type);
		buf_add_text(out, protocol->parameters);
		if (protocol->escapes) {
			buf_add_text(out, ";escaping=");
			buf_add_str(out, limits->escaping);
		}
		buf_add_text(out, ";q=0.");
		buf_add_byte(out, (char)('0' + weight--));
		buf_add_byte(out, ',');
	}
	buf_add_text(out, "*/*;q=0.");
	buf_add_byte(out, (char)('0' + weight));
}

struct str scrape_request_fallback(const struct config_scrape *job) {
	const struct protocol *protocol = find_protocol(job->fallback_scrape_protocol);
	return protocol ? str_of(protocol->media_type) : STR_EMPTY;
}

/* A file name of the configuration as a path, or NULL if it is empty. */
static const char *path_of(struct arena *arena, struct str folder, struct str name) {
	if (name.len == 0) {
		return NULL;
	}
	if (name.ptr[0] == '/' || folder.len == 0) {
		return arena_copy(arena, name).ptr;
	}
	return arena_printf(arena, "%.*s/%.*s", STR_ARG(folder), STR_ARG(name)).ptr;
}

/* 'value', or else the trimmed content of 'file'. */
static int read_secret(struct arena *arena, struct str folder, struct str value, struct str file,
	struct str *out, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };

	if (file.len == 0) {
		*out = arena_copy(arena, value);
		return 0;
	}
	const char *path = path_of(arena, folder, file);
	int rc = file_read(path, SECRET_BYTES_MAX, &text, err);
	if (rc < 0) {
		return err_wrap(err, rc, "unable to read secret file %s", path);
	}
	*out = arena_copy(arena, str_trim(buf_str(&text)));
	return 0;
}

static int add_credentials(const struct config_http *http, struct str folder, struct arena *arena,
	const char **header, struct fetch_request *out, struct err *err) {
	struct str secret = STR_EMPTY;

	if (http->credentials.len > 0 || http->credentials_file.len > 0) {
		int rc = read_secret(
			arena, folder, http->credentials, http->credentials_file, &secret, err);
		if (rc < 0) {
			return rc;
		}
		*header = arena_printf(arena, "Authorization: %.*s %.*s",
			STR_ARG(http->authorization_type), STR_ARG(secret))
				  .ptr;
	}
	if (http->user.len == 0 && http->user_file.len == 0 && http->password.len == 0 &&
		http->password_file.len == 0) {
		return 0;
	}
	int rc = read_secret(arena, folder, http->user, http->user_file, &secret, err);
	if (rc == 0) {
		out->user = secret.ptr;
		rc = read_secret(arena, folder, http->password, http->password_file, &secret, err);
		out->password = secret.ptr;
	}
	return rc;
}

/* "10", "0.5" */
static void put_seconds(int64_t ms, struct buf *out) {
	buf_printf(out, "%" PRId64 ".%03d", ms / MS_PER_S, (int)(ms % MS_PER_S));
	while (out->ptr[out->len - 1] == '0') {
		out->len--;
	}
	out->len -= out->ptr[out->len - 1] == '.';
	out->ptr[out->len] = '\0';
}

int scrape_request_build(const struct config_scrape *job, struct str folder,
	const struct target *target, struct arena *arena, struct fetch_request *out,
	struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	const char **headers = ARENA_NEW(arena, const char *, 6);
	const struct config_http *http = &job->http;
	uint64_t body_max = job->limits.body_size_limit;

	/* Once for each scrape: formatting would cost more than all the rest of it. */
	(void)buf_reserve(&text, HEADER_BYTES_TYPICAL);
	buf_add_text(&text, "Accept: ");
	scrape_request_accept(&job->limits, &text);
	headers[0] = arena_copy(arena, buf_str(&text)).ptr;
	headers[1] =
		job->enable_compression ? "Accept-Encoding: gzip" : "Accept-Encoding: identity";
	headers[2] = "User-Agent: atoll/" ATOLL_VERSION;
	buf_reset(&text);
	buf_add_text(&text, "X-Prometheus-Scrape-Timeout-Seconds: ");
	put_seconds(target->timeout_ms, &text);
	headers[3] = arena_copy(arena, buf_str(&text)).ptr;
	*out = (struct fetch_request){
		.url = target->url.ptr,
		.headers = headers,
		.timeout_ms = target->timeout_ms,
		.body_bytes_max = body_max > 0 && body_max < SCRAPE_BODY_BYTES_MAX
					  ? body_max
					  : SCRAPE_BODY_BYTES_MAX,
		.follow_redirects = http->follow_redirects,
		.proxy_url =
			http->proxy_url.len > 0 ? arena_copy(arena, http->proxy_url).ptr : NULL,
		.ca_file = path_of(arena, folder, http->ca_file),
		.cert_file = path_of(arena, folder, http->cert_file),
		.key_file = path_of(arena, folder, http->key_file),
		.server_name =
			http->server_name.len > 0 ? arena_copy(arena, http->server_name).ptr : NULL,
		.insecure_skip_verify = http->insecure_skip_verify,
	};
	return add_credentials(http, folder, arena, &headers[4], out, err);
}
