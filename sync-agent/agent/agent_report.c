/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How sources fare; see agent_report.h.  Nothing of it is kept: they are
 * asked when somebody asks.
 */

#include "agent_report.h"

#include <stdlib.h>

#include "ctl_table.h"

typedef struct {
    cJSON *parts;
    cJSON *item; /* of the part that was told of last */
    cJSON *names;
    uint32_t count; /* of them */
    uint32_t left_out;
    size_t bytes; /* about: of all names so far */
    publish_time_t now;
} report_t;

/* Nothing of it was ever read: there is no row in the table of parts. */
static cJSON *add_part(cJSON *parts, const char *part) {
    cJSON *item = cJSON_CreateObject();

    cJSON_AddStringToObject(item, "name", part);
    cJSON_AddStringToObject(item, "state", "none");
    cJSON_AddFalseToObject(item, "last_good");
    cJSON_AddStringToObject(item, "version", "");
    ctl_json_u64(item, "good_ms", 0);
    ctl_json_u64(item, "verdict_ms", 0);
    cJSON_AddArrayToObject(item, "verdict");
    cJSON_AddItemToArray(parts, item);
    return item;
}

static bool is_part(const cJSON *item, const char *part) {
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");

    return item != NULL && strcmp(name->valuestring, part) == 0;
}

static cJSON *item_of(report_t *r, const char *part) {
    cJSON *item;

    if (is_part(r->item, part)) {
        return r->item;
    }
    r->item = NULL;
    r->names = NULL;
    r->count = r->left_out = 0;
    cJSON_ArrayForEach(item, r->parts) {
        if (is_part(item, part)) {
            r->item = item;
        }
    }
    if (r->item == NULL) {
        r->item = add_part(r->parts, part);
    }
    return r->item;
}

/* Of the monotonic clock; 0 stays so. */
static uint64_t unix_of(const report_t *r, uint64_t ms) {
    return ms == 0 || ms > r->now.mono_ms
               ? 0
               : r->now.unix_ms - (r->now.mono_ms - ms);
}

static void on_note(void *ctx, const char *part, const source_note_t *note) {
    report_t *r = ctx;
    cJSON *json = cJSON_AddObjectToObject(item_of(r, part), "source");

    cJSON_AddStringToObject(json, "state", source_name_state(note->state));
    ctl_json_u64(json, "since_ms", unix_of(r, note->since_ms));
    cJSON_AddStringToObject(json, "text", note->text);
    cJSON_AddNumberToObject(json, "names", note->names);
    cJSON_AddNumberToObject(json, "failing", note->failing);
}

static cJSON *string_of(mesh_str_t text) {
    char *copy = strndup(text.data, text.len);
    cJSON *json = cJSON_CreateString(copy ? copy : "");

    free(copy);
    return json;
}

static cJSON *name_json(const report_t *r, const source_name_t *name) {
    cJSON *json = cJSON_CreateObject();

    cJSON_AddItemToObject(json, "name", string_of(name->name));
    cJSON_AddStringToObject(json, "type", name->type);
    cJSON_AddStringToObject(json, "state", source_name_state(name->state));
    cJSON_AddNumberToObject(json, "addresses", name->addresses);
    cJSON_AddBoolToObject(json, "answered", name->answered);
    cJSON_AddBoolToObject(json, "held", name->held);
    ctl_json_u64(json, "since_ms", unix_of(r, name->since_ms));
    ctl_json_u64(json, "had_ms", unix_of(r, name->had_ms));
    if (name->next_ms != 0) {
        uint64_t now_ms = r->now.mono_ms;

        ctl_json_u64(json, "next_in_ms",
                     name->next_ms > now_ms ? name->next_ms - now_ms : 0);
    }
    cJSON_AddStringToObject(json, "verdict", name->verdict);
    cJSON *sets = cJSON_AddArrayToObject(json, "sets");
    for (uint32_t i = 0; i < name->nsets; i++) {
        cJSON_AddItemToArray(sets, string_of(name->sets[i]));
    }
    if (name->sets_left_out != 0) {
        cJSON_AddNumberToObject(json, "sets_left_out", name->sets_left_out);
    }
    return json;
}

/* What stands around it in the answer, and what it says. */
static size_t bytes_of(const source_name_t *name) {
    size_t bytes = 256 + name->name.len + strlen(name->verdict);

    for (uint32_t i = 0; i < name->nsets; i++) {
        bytes += name->sets[i].len + 3;
    }
    return bytes;
}

static void on_name(void *ctx, const char *part, const source_name_t *name) {
    report_t *r = ctx;
    cJSON *item = item_of(r, part);

    if (r->names == NULL) {
        r->names = cJSON_AddArrayToObject(item, "names");
        cJSON_AddNumberToObject(item, "names_left_out", 0);
    }
    if (r->count < AGENT_NAMES_MAX && r->bytes < AGENT_NAMES_BYTES) {
        r->count++;
        r->bytes += bytes_of(name);
        cJSON_AddItemToArray(r->names, name_json(r, name));
    } else {
        cJSON_SetNumberValue(
            cJSON_GetObjectItemCaseSensitive(item, "names_left_out"),
            ++r->left_out);
    }
}

void agent_report(const agent_t *agent, bool names, cJSON *parts) {
    report_t r = {.parts = parts, .now = agent_time()};
    source_report_t to = {
        .ctx = &r, .note = on_note, .name = names ? on_name : NULL};

    agent->dns->ops->report(agent->dns, r.now.mono_ms, &to);
    for (uint32_t i = 0; i < agent->nsources; i++) {
        const source_t *source = agent->sources[i];

        source->ops->report(source, r.now.mono_ms, &to);
    }
}
