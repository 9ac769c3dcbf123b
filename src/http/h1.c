/*
 * Lines are read as they come, so that a broken one is refused at once and a slow client costs no
 * second look at the same bytes. What is not a line (bodies) goes straight to the body buffer.
 */
#include "http/h1.h"

#include "base/check.h"
#include "http/h1_parts.h"

#include <time.h>

void h1_reader_init(struct h1_reader *reader, struct arena *arena, struct http_request *request,
	struct buf *body, size_t header_bytes_max, size_t body_bytes_max) {
	*reader = (struct h1_reader){
		.arena = arena,
		.request = request,
		.body = body,
		.header_bytes_max = header_bytes_max,
		.body_bytes_max = body_bytes_max,
	};
}

static int bad(struct h1_reader *reader, struct err *err, const char *what) {
	reader->status = 400;
	return err_set(err, ERR_INVAL, "malformed request: %s", what);
}

/* Counts bytes of lines. Returns 0, or ERR_LIMIT when the header gets too long. */
static int charge_header(struct h1_reader *reader, size_t len, struct err *err) {
	if (len <= reader->header_bytes_max - reader->header_bytes) {
		return 0;
	}
	reader->status = reader->state == H1_REQUEST_LINE ? 414 : 431;
	return err_set(err, ERR_LIMIT, "%s longer than %zu bytes",
		reader->state == H1_REQUEST_LINE ? "request line" : "request header",
		reader->header_bytes_max);
}

/*
 * Takes one line off 'rest', without its CR LF. Returns 1; 0 when its end is not there yet; or an
 * error for a line ended by LF alone, a stray CR, or too many bytes.
 */
static int take_line(
	struct h1_reader *reader, struct str *rest, struct str *line, struct err *err) {
	struct str fresh = str_from(*rest, reader->scanned);
	size_t end = str_find(fresh, '\n');
	size_t len = end == SIZE_MAX ? rest->len : reader->scanned + end + 1;
	int rc = charge_header(reader, len, err);

	if (rc < 0) {
		return rc;
	}
	if (end == SIZE_MAX) {
		reader->scanned = rest->len;
		return 0;
	}
	if (len < 2 || rest->ptr[len - 2] != '\r') {
		return bad(reader, err, "a line ends without CR");
	}
	*line = str_first(*rest, len - 2);
	if (str_find(*line, '\r') != SIZE_MAX) {
		return bad(reader, err, "CR inside a line");
	}
	*rest = str_from(*rest, len);
	reader->scanned = 0;
	reader->header_bytes += len;
	return 1;
}

/* Splits "http://host/path" into authority and origin form; leaves other targets alone. */
static void cut_absolute_form(struct str *target, struct str *authority) {
	struct str scheme = str_first(*target, 7);
	bool is_http = str_equal_nocase(scheme, STR("http://"));
	bool is_https = str_equal_nocase(str_first(*target, 8), STR("https://"));

	if (!is_http && !is_https) {
		return;
	}
	struct str rest = str_from(*target, is_http ? 7 : 8);
	size_t end = 0;
	while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?') {
		end++;
	}
	*authority = str_first(rest, end);
	*target = end < rest.len && rest.ptr[end] == '/' ? str_from(rest, end) : STR("/");
}

static int read_version(struct h1_reader *reader, struct str version, struct err *err) {
	bool is_form = version.len == 8 && str_starts(version, STR("HTTP/")) &&
		       version.ptr[5] >= '0' && version.ptr[5] <= '9' && version.ptr[6] == '.' &&
		       version.ptr[7] >= '0' && version.ptr[7] <= '9';

	if (!is_form) {
		return bad(reader, err, "the request line has no HTTP version");
	}
	if (version.ptr[5] != '1' || version.ptr[7] > '1') {
		reader->status = 505;
		return err_set(err, ERR_INVAL, "%.*s is not spoken here; use HTTP/1.1 or HTTP/2",
			STR_ARG(version));
	}
	reader->is_http10 = version.ptr[7] == '0';
	reader->keep_alive = !reader->is_http10;
	return 0;
}

static int read_request_line(struct h1_reader *reader, struct str line, struct err *err) {
	struct http_request *request = reader->request;
	if (line.len == 0 && !reader->skipped_line) {
		reader->skipped_line = true;
		return 0;
	}
	struct str rest = line;
	struct str method = str_cut(&rest, ' ');
	struct str target = str_cut(&rest, ' ');
	if (!http_name_is_token(method)) {
		return bad(reader, err, "the method is not a word");
	}
	int rc = read_version(reader, rest, err);
	if (rc < 0) {
		return rc;
	}
	if (str_equal(method, STR("CONNECT"))) {
		reader->status = 501;
		return err_set(err, ERR_INVAL, "CONNECT is not served here");
	}
	struct str authority = STR_EMPTY;
	target = arena_copy(reader->arena, target);
	cut_absolute_form(&target, &authority);
	request->method = arena_copy(reader->arena, method);
	if (!http_authority_is_valid(authority) || !http_request_set_target(request, target)) {
		return bad(reader, err, "the request target is not a path");
	}
	request->authority = authority;
	reader->state = H1_HEADERS;
	return 0;
}

static int read_host(struct h1_reader *reader, struct str value, struct err *err) {
	struct http_request *request = reader->request;

	if (reader->has_host) {
		return bad(reader, err, "Host is given twice");
	}
	reader->has_host = true;
	if (!http_authority_is_valid(value)) {
		return bad(reader, err, "Host is not a host name");
	}
	if (request->authority.len == 0) {
		request->authority = value;
	}
	return 0;
}

static int read_content_length(struct h1_reader *reader, struct str value, struct err *err) {
	uint64_t length = 0;

	if (reader->has_length) {
		return bad(reader, err, "Content-Length is given twice");
	}
	const char *problem = h1_parse_length(value, &length);
	if (problem) {
		return bad(reader, err, problem);
	}
	reader->has_length = true;
	reader->left = length;
	return 0;
}

static int read_transfer_encoding(struct h1_reader *reader, struct str value, struct err *err) {
	if (reader->is_chunked) {
		return bad(reader, err, "Transfer-Encoding is given twice");
	}
	if (reader->is_http10) {
		return bad(reader, err, "Transfer-Encoding in HTTP/1.0");
	}
	if (!str_equal_nocase(value, STR("chunked"))) {
		reader->status = 501;
		return err_set(err, ERR_INVAL, "the only transfer coding understood is chunked");
	}
	reader->is_chunked = true;
	return 0;
}

static int read_expect(struct h1_reader *reader, struct str value, struct err *err) {
	if (!str_equal_nocase(value, STR("100-continue"))) {
		reader->status = 417;
		return err_set(err, ERR_INVAL, "the only expectation met here is 100-continue");
	}
	reader->expects_continue = !reader->is_http10;
	return 0;
}

static void read_connection(struct h1_reader *reader, struct str value) {
	if (http_value_has_token(value, STR("close"))) {
		reader->keep_alive = false;
	} else if (reader->is_http10 && http_value_has_token(value, STR("keep-alive"))) {
		reader->keep_alive = true;
	}
}

static int read_header(struct h1_reader *reader, struct str line, struct err *err) {
	struct http_headers *headers = &reader->request->headers;
	struct str name = STR_EMPTY;
	struct str value = STR_EMPTY;

	const char *problem = h1_split_header(line, &name, &value);
	if (problem) {
		return bad(reader, err, problem);
	}
	if (headers->count >= H1_HEADERS_MAX) {
		reader->status = 431;
		return err_set(err, ERR_LIMIT, "more than %d headers", H1_HEADERS_MAX);
	}
	http_headers_add(headers, reader->arena, name, value);
	name = headers->items[headers->count - 1].name;
	value = headers->items[headers->count - 1].value;
	if (str_equal(name, STR("host"))) {
		return read_host(reader, value, err);
	}
	if (str_equal(name, STR("content-length"))) {
		return read_content_length(reader, value, err);
	}
	if (str_equal(name, STR("transfer-encoding"))) {
		return read_transfer_encoding(reader, value, err);
	}
	if (str_equal(name, STR("expect"))) {
		return read_expect(reader, value, err);
	}
	if (str_equal(name, STR("connection"))) {
		read_connection(reader, value);
	}
	return 0;
}

static int refuse_body(struct h1_reader *reader, struct err *err) {
	reader->status = 413;
	return err_set(
		err, ERR_LIMIT, "request body longer than %zu bytes", reader->body_bytes_max);
}

/* The empty line: decides what follows. Returns an event or an error. */
static int finish_head(struct h1_reader *reader, struct err *err) {
	if (!reader->has_host && !reader->is_http10) {
		return bad(reader, err, "HTTP/1.1 without Host");
	}
	if (reader->is_chunked && reader->has_length) {
		return bad(reader, err, "both Content-Length and Transfer-Encoding");
	}
	if (reader->is_chunked) {
		reader->state = H1_CHUNK_SIZE;
		return H1_HAS_HEAD;
	}
	if (reader->left > reader->body_bytes_max) {
		return refuse_body(reader, err);
	}
	reader->state = reader->left > 0 ? H1_LENGTH_BODY : H1_COMPLETE;
	return reader->left > 0 ? H1_HAS_HEAD : H1_HAS_ALL;
}

/* Moves body bytes from 'rest'. Returns whether the length or chunk is complete. */
static bool take_body(struct h1_reader *reader, struct str *rest) {
	struct str bytes =
		reader->left < rest->len ? str_first(*rest, (size_t)reader->left) : *rest;

	buf_add_str(reader->body, bytes);
	reader->left -= bytes.len;
	*rest = str_from(*rest, bytes.len);
	return reader->left == 0;
}

static int read_chunk_size(struct h1_reader *reader, struct str line, struct err *err) {
	uint64_t size = 0;
	const char *problem = h1_parse_chunk_size(line, &size);
	if (problem) {
		return bad(reader, err, problem);
	}
	if (size > reader->body_bytes_max - reader->body->len) {
		return refuse_body(reader, err);
	}
	reader->left = size;
	reader->state = size > 0 ? H1_CHUNK_DATA : H1_TRAILERS;
	return 0;
}

/* As take_line, for the lines between chunks: their length is bounded each, not summed up. */
static int take_chunk_line(
	struct h1_reader *reader, struct str *rest, struct str *line, struct err *err) {
	size_t spent = reader->header_bytes;
	size_t end = str_find(str_first(*rest, H1_CHUNK_LINE_MAX), '\n');

	if (end == SIZE_MAX && rest->len >= H1_CHUNK_LINE_MAX) {
		return bad(reader, err, "a chunk's size line is too long");
	}
	/* The header's allowance is not for these: a long body has many. */
	reader->header_bytes = 0;
	int rc = take_line(reader, rest, line, err);
	reader->header_bytes = spent;
	return rc;
}

static int read_trailer(struct h1_reader *reader, struct str line, struct err *err) {
	struct str name;
	struct str value;

	if (line.len == 0) {
		reader->state = H1_COMPLETE;
		return H1_HAS_ALL;
	}
	/* Trailers mean nothing to us; only their form is looked at. */
	const char *problem = h1_split_header(line, &name, &value);
	return problem ? bad(reader, err, problem) : 0;
}

/* What a line means in this state. Returns 0, an event, or an error. */
static int read_line(struct h1_reader *reader, struct str line, struct err *err) {
	switch (reader->state) {
	case H1_REQUEST_LINE:
		return read_request_line(reader, line, err);
	case H1_HEADERS:
		return line.len > 0 ? read_header(reader, line, err) : finish_head(reader, err);
	case H1_CHUNK_SIZE:
		return read_chunk_size(reader, line, err);
	case H1_CHUNK_END:
		reader->state = H1_CHUNK_SIZE;
		return line.len == 0 ? 0 : bad(reader, err, "a chunk is longer than its size");
	case H1_TRAILERS:
		return read_trailer(reader, line, err);
	case H1_LENGTH_BODY:
	case H1_CHUNK_DATA:
	case H1_COMPLETE:
	case H1_BROKEN:
		break;
	}
	CHECK(false);
}

/* One step of the machine. Returns 1 to go on ('*event' may be set), 0 for more bytes, an error. */
static int step(struct h1_reader *reader, struct str *rest, int *event, struct err *err) {
	bool is_chunk = reader->state == H1_CHUNK_SIZE || reader->state == H1_CHUNK_END;
	struct str line = STR_EMPTY;

	if (reader->state == H1_LENGTH_BODY || reader->state == H1_CHUNK_DATA) {
		if (!take_body(reader, rest)) {
			return 0;
		}
		bool is_last = reader->state == H1_LENGTH_BODY;
		reader->state = is_last ? H1_COMPLETE : H1_CHUNK_END;
		*event = is_last ? H1_HAS_ALL : H1_MORE;
		return 1;
	}
	int rc = is_chunk ? take_chunk_line(reader, rest, &line, err)
			  : take_line(reader, rest, &line, err);
	if (rc <= 0) {
		return rc;
	}
	rc = read_line(reader, line, err);
	*event = rc > 0 ? rc : H1_MORE;
	return rc < 0 ? rc : 1;
}

int h1_read(struct h1_reader *reader, struct str bytes, size_t *used, struct err *err) {
	struct str rest = bytes;
	int event = H1_MORE;
	int rc = 1;

	CHECK(reader->state != H1_COMPLETE && reader->state != H1_BROKEN);
	while (rc > 0 && event == H1_MORE) {
		rc = step(reader, &rest, &event, err);
	}
	*used = bytes.len - rest.len;
	if (rc < 0) {
		reader->state = H1_BROKEN;
		return rc;
	}
	if (event == H1_HAS_ALL) {
		reader->request->body = buf_str(reader->body);
	}
	return event;
}

/* Appends a header with its name as people are used to see it: "Content-Type". */
static void write_header(struct str name, struct str value, struct buf *out) {
	bool starts_word = true;

	for (size_t i = 0; i < name.len; i++) {
		char byte = name.ptr[i];

		buf_add_byte(out, starts_word && byte >= 'a' && byte <= 'z'
					  ? (char)(byte - ('a' - 'A'))
					  : byte);
		starts_word = byte == '-';
	}
	buf_add_text(out, ": ");
	buf_add_str(out, value);
	buf_add_text(out, "\r\n");
}

void h1_write_head(const struct h1_answer *answer, struct buf *out) {
	buf_printf(out, "HTTP/1.1 %d %s\r\n", answer->status, http_status_text(answer->status));
	write_header(STR("date"), answer->date, out);
	if (answer->content_type.len > 0) {
		write_header(STR("content-type"), answer->content_type, out);
	}
	for (size_t i = 0; answer->headers && i < answer->headers->count; i++) {
		write_header(answer->headers->items[i].name, answer->headers->items[i].value, out);
	}
	switch (answer->framing) {
	case H1_FRAMING_LENGTH:
		buf_printf(out, "Content-Length: %llu\r\n",
			(unsigned long long)answer->content_length);
		break;
	case H1_FRAMING_CHUNKED:
		buf_add_text(out, "Transfer-Encoding: chunked\r\n");
		break;
	case H1_FRAMING_CLOSE:
	case H1_FRAMING_NONE:
		break;
	}
	if (!answer->keep_alive) {
		buf_add_text(out, "Connection: close\r\n");
	} else if (answer->is_http10) {
		buf_add_text(out, "Connection: keep-alive\r\n");
	}
	buf_add_text(out, "\r\n");
}

void h1_write_chunk(struct str bytes, struct buf *out) {
	if (bytes.len > 0) {
		buf_printf(out, "%zx\r\n", bytes.len);
		buf_add_str(out, bytes);
		buf_add_text(out, "\r\n");
	}
}

void h1_write_last_chunk(struct buf *out) {
	buf_add_text(out, "0\r\n\r\n");
}

void http_date_format(int64_t unix_ms, struct buf *out) {
	/* strftime would follow the locale. */
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm parts;

	if (!gmtime_r(&seconds, &parts)) {
		parts = (struct tm){ .tm_mday = 1, .tm_year = 70, .tm_wday = 4 };
	}
	buf_printf(out, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[parts.tm_wday], parts.tm_mday,
		months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
		parts.tm_sec);
}
