/*
 * A request as libcurl's options. Nothing is taken from the environment or from files in the
 * user's home: proxies, user agents and credentials come from the request alone.
 */
#include "base/check.h"
#include "base/str.h"
#include "io/fetch_internal.h"

#include <string.h>

#define REDIRECTS_MAX 10L

/* Fails only for an option that this libcurl does not have. */
#define SET(easy, option, value) CHECK(curl_easy_setopt((easy), (option), (value)) == CURLE_OK)

static void add_header(struct fetch *fetch, const char *line) {
	fetch->headers = curl_slist_append(fetch->headers, line);
	CHECK(fetch->headers);
}

static bool has_header(const struct fetch_request *request, struct str name) {
	for (size_t i = 0; request->headers && request->headers[i]; i++) {
		struct str line = str_of(request->headers[i]);
		if (str_equal_nocase(str_trim(str_cut(&line, ':')), name)) {
			return true;
		}
	}
	return false;
}

static void set_headers(struct fetch *fetch, const struct fetch_request *request) {
	for (size_t i = 0; request->headers && request->headers[i]; i++) {
		add_header(fetch, request->headers[i]);
	}
	add_header(fetch, "Expect:"); /* No waiting for "100 Continue". */
	if (request->body.len > 0 && !has_header(request, STR("content-type"))) {
		add_header(fetch, "Content-Type:"); /* libcurl would say it is a form. */
	}
	if (!has_header(request, STR("user-agent"))) {
		add_header(fetch, "User-Agent: atoll/" ATOLL_VERSION);
	}
}

static void set_method(struct fetch *fetch, const struct fetch_request *request) {
	const char *method = request->method ? request->method : "GET";
	if (request->body.len > 0 || strcmp(method, "POST") == 0) {
		SET(fetch->easy, CURLOPT_POST, 1L);
		SET(fetch->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
		SET(fetch->easy, CURLOPT_COPYPOSTFIELDS,
			request->body.len > 0 ? request->body.ptr : "");
	}
	if (strcmp(method, "HEAD") == 0) {
		SET(fetch->easy, CURLOPT_NOBODY, 1L);
	} else if (strcmp(method, "GET") != 0 && strcmp(method, "POST") != 0) {
		SET(fetch->easy, CURLOPT_CUSTOMREQUEST, method);
	}
}

/*
 * A server name that differs from the URL's host: TLS sees a URL with that name, the connection
 * goes to the host, and the Host header keeps what the URL said. Returns false if the URL is
 * malformed.
 */
static bool rename_server(struct fetch *fetch, const struct fetch_request *request, CURLU *url) {
	char *host = NULL;
	char *port = NULL;
	char *given_port = NULL;
	char *renamed = NULL;
	AUTO(buf_deinit) struct buf line = { 0 };
	bool is_ok = curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		     curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		     curl_url_set(url, CURLUPART_HOST, request->server_name, 0) == CURLUE_OK &&
		     curl_url_get(url, CURLUPART_URL, &renamed, 0) == CURLUE_OK;
	(void)curl_url_get(url, CURLUPART_PORT, &given_port, 0);
	if (is_ok) {
		buf_printf(&line, "%s:%s:%s:%s", request->server_name, port, host, port);
		fetch->connect_to = curl_slist_append(NULL, buf_text(&line));
		SET(fetch->easy, CURLOPT_CONNECT_TO, fetch->connect_to);
		SET(fetch->easy, CURLOPT_URL, renamed);
	}
	if (is_ok && !has_header(request, STR("host"))) {
		buf_reset(&line);
		buf_printf(&line, "Host: %s%s%s", host, given_port ? ":" : "",
			given_port ? given_port : "");
		add_header(fetch, buf_text(&line));
	}
	curl_free(host);
	curl_free(port);
	curl_free(given_port);
	curl_free(renamed);
	return is_ok;
}

static void set_url(struct fetch *fetch, const struct fetch_request *request) {
	if (request->server_name && str_starts(str_of(request->url), STR("https:"))) {
		CURLU *url = curl_url();
		CHECK(url);
		bool is_set = curl_url_set(url, CURLUPART_URL, request->url, 0) == CURLUE_OK &&
			      rename_server(fetch, request, url);
		curl_url_cleanup(url);
		if (is_set) {
			return;
		}
	}
	SET(fetch->easy, CURLOPT_URL, request->url);
}

static void set_tls(struct fetch *fetch, const struct fetch_request *request) {
	SET(fetch->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (request->ca_file) {
		SET(fetch->easy, CURLOPT_CAINFO, request->ca_file);
		SET(fetch->easy, CURLOPT_CAPATH, NULL); /* That one alone, not the system's too. */
	}
	if (request->cert_file) {
		SET(fetch->easy, CURLOPT_SSLCERT, request->cert_file);
		SET(fetch->easy, CURLOPT_SSLKEY,
			request->key_file ? request->key_file : request->cert_file);
	}
	if (request->insecure_skip_verify) {
		SET(fetch->easy, CURLOPT_SSL_VERIFYPEER, 0L);
		SET(fetch->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static void set_limits(struct fetch *fetch, const struct fetch_request *request) {
	SET(fetch->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(fetch->easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	SET(fetch->easy, CURLOPT_FOLLOWLOCATION, request->follow_redirects ? 1L : 0L);
	SET(fetch->easy, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	SET(fetch->easy, CURLOPT_NOSIGNAL, 1L);
	/* A name look-up that hangs does not hold up the loop when its fetch ends. */
	SET(fetch->easy, CURLOPT_QUICK_EXIT, 1L);
	SET(fetch->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	/* An empty text, unlike NULL, means none: the environment is not asked. */
	SET(fetch->easy, CURLOPT_PROXY, request->proxy_url ? request->proxy_url : "");
	SET(fetch->easy, CURLOPT_NOPROXY, "");
}

void fetch_prepare(struct fetch *fetch, const struct fetch_request *request,
	curl_write_callback on_header, curl_write_callback on_body) {
	SET(fetch->easy, CURLOPT_PRIVATE, fetch);
	SET(fetch->easy, CURLOPT_ERRORBUFFER, fetch->error_text);
	SET(fetch->easy, CURLOPT_HEADERFUNCTION, on_header);
	SET(fetch->easy, CURLOPT_HEADERDATA, fetch);
	SET(fetch->easy, CURLOPT_WRITEFUNCTION, on_body);
	SET(fetch->easy, CURLOPT_WRITEDATA, fetch);
	set_limits(fetch, request);
	set_method(fetch, request);
	set_headers(fetch, request);
	set_tls(fetch, request);
	set_url(fetch, request);
	SET(fetch->easy, CURLOPT_HTTPHEADER, fetch->headers);
	if (request->decode) {
		SET(fetch->easy, CURLOPT_ACCEPT_ENCODING, "gzip, zstd");
	}
	if (request->user) {
		SET(fetch->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		SET(fetch->easy, CURLOPT_USERNAME, request->user);
		SET(fetch->easy, CURLOPT_PASSWORD, request->password ? request->password : "");
	}
}
