/*
 * Tables of settings: one row per key, and the reader and printer that walk them.
 */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include "base/buf.h"
#include "base/err.h"
#include "codec/yaml.h"
#include "config/config.h"

enum setting_kind {
	SETTING_DURATION, /* int64_t ms */
	SETTING_BYTES,    /* uint64_t; a unit is needed: 10MB */
	SETTING_COUNT,    /* int64_t >= 0 */
	SETTING_BOOL,     /* bool */
	SETTING_TEXT,     /* struct str */
	SETTING_SECRET,   /* struct str, printed as <secret> */
	SETTING_LIST,     /* struct config_list */
	SETTING_GROUP, /* A mapping read by 'group' into the member (or, at offset 0, the parent) */
	SETTING_CUSTOM, /* 'read' and 'print' do it */
	SETTING_ABSENT, /* Prometheus has it, we do not yet: only its default may be written */
};

/* One reading of a file. */
struct reader {
	struct config *config;
	const char *path;                /* For errors. */
	const struct yaml_node *scrapes; /* scrape_configs: read last, when global is known. */
};

struct setting {
	const char *name;
	enum setting_kind kind;
	size_t offset;
	const char *default_text; /* NULL: the member stays as it was before reading. */
	const char *help;
	const struct settings *group;
	int (*read)(
		struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
	/* Appends "key: value" lines, each indented by 'indent' spaces; nothing for an empty value.
	 */
	void (*print)(const char *key, const void *member, int indent, struct buf *out);
};

struct settings {
	const char *name; /* As named in errors: "global", "scrape_configs". */
	const struct setting *rows;
	size_t count;
};

/* Fills 'members' with the rows' defaults, then with what 'node' says. ERR_INVAL or ERR_ABSENT. */
MUST_USE int settings_read(struct reader *reader, const struct settings *settings,
	const struct yaml_node *node, void *members, struct err *err);

/* Appends every row that has a value, as YAML. */
void settings_print(
	const struct settings *settings, const void *members, int indent, struct buf *out);

/* Appends a table of Markdown. */
void settings_reference(const struct settings *settings, struct buf *out);

/* Fails with "path:line: sentence". Returns ERR_INVAL. */
int reader_fail(const struct reader *reader, const struct yaml_node *node, struct err *err,
	const char *fmt, ...) PRINTF(4, 5);

/* Puts "path:line: " before a sentence that lacks it. Returns 'code'. */
int reader_wrap(
	const struct reader *reader, const struct yaml_node *node, int code, struct err *err);

/* A scalar's text, or a failure that says what was expected of 'what'. */
MUST_USE int reader_text(struct reader *reader, const struct yaml_node *node, const char *what,
	struct str *out, struct err *err);

/* A sequence of scalars. */
MUST_USE int reader_list(struct reader *reader, const struct yaml_node *node, const char *what,
	struct config_list *out, struct err *err);

/* Appends 'text' as a YAML scalar, quoted where a plain one would read as something else. */
void yaml_put(struct str text, struct buf *out);

/* The tables of the file; see tables.c. */
extern const struct settings settings_top;
extern const struct settings settings_global;
extern const struct settings settings_scrape;
extern const struct settings settings_http;

#endif
