/*
 * Readers and printers of the settings that are more than one value; see struct setting.
 */
#ifndef CONFIG_BLOCKS_H
#define CONFIG_BLOCKS_H

#include "config/settings.h"

/* Readers: fill 'member' from 'node'. */
int global_read(struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int scrapes_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int protocols_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int scheme_read(struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int escaping_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int url_scheme_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int proxy_read(struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int fallback_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int file_patterns_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int addresses_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int labels_read(struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int external_labels_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int params_read(struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int relabel_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int static_read(struct reader *reader, const struct yaml_node *node, void *member, struct err *err);
int file_sd_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err);

/* Printers: append what 'member' holds under 'key'. */
void global_print(const char *key, const void *member, int indent, struct buf *out);
void scrapes_print(const char *key, const void *member, int indent, struct buf *out);
void list_print(const char *key, const void *member, int indent, struct buf *out);
void proxy_print(const char *key, const void *member, int indent, struct buf *out);
void text_print(const char *key, const void *member, int indent, struct buf *out);
void scheme_print(const char *key, const void *member, int indent, struct buf *out);
void labels_print(const char *key, const void *member, int indent, struct buf *out);
void params_print(const char *key, const void *member, int indent, struct buf *out);
void relabel_print(const char *key, const void *member, int indent, struct buf *out);
void static_print(const char *key, const void *member, int indent, struct buf *out);
void file_sd_print(const char *key, const void *member, int indent, struct buf *out);

/*
 * Builds the rules whose reading had to wait until the job's naming scheme is known. Returns 0 or
 * ERR_INVAL.
 */
MUST_USE int relabels_build(struct reader *reader, const struct config_scrape *scrape,
	struct config_relabels *relabels, const char *key, struct err *err);

extern const struct settings settings_file_sd;
extern const struct settings settings_targets;

#endif
