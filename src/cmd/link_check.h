/*
 * Checks of links by dialling them, for atoll link check and atoll check.
 */
#ifndef CMD_LINK_CHECK_H
#define CMD_LINK_CHECK_H

#include "cmd/check_list.h"
#include "mesh/link_file.h"
#include "trust/identity.h"

/* Off by more, and peers may find our certificates not valid yet. */
#define SKEW_WARNING_MS (INT64_C(30) * MS_PER_S)
#define SKEW_FAILURE_MS (INT64_C(240) * MS_PER_S)

/* Dials every address of a link and adds what was found. 'wanted' is an export that must be among
 * those of the catalogue; NULL: none in particular. */
void link_check_dial(struct check_list *list, struct loop *loop, const struct trust_identity *own,
	const struct link_config *config, const char *wanted);
/* Adds what a running hub says of a link, by its name: all that is known of one that dials. */
void link_check_hub(struct check_list *list, const char *hub, const char *cluster);
/* Adds how much time a certificate has left: 30, 14, 7 and 1 days are the alarms, or for those that
 * live for days at most a third, a sixth and a twelfth of their life. */
void check_certificate_end(struct check_list *list, const char *section, const char *kind,
	const char *name, int64_t not_before_ms, int64_t not_after_ms, int64_t now_ms);
/* Adds whether two sides' anchors go together. */
void check_anchors(struct check_list *list, const char *section, const struct trust_facts *own,
	const struct trust_facts *other);

#endif
