/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Request lines; see ctl_protocol.h.
 */

#include "ctl_protocol.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl_args.h"
#include "ctl_table.h"
#include "model_node.h"

#define FIELD_PART 0x01
#define FIELD_BODY 0x02
#define FIELD_GENERATION 0x04
#define FIELD_CLUSTER 0x08
#define FIELD_ENDPOINT 0x10

static const struct {
    const char *name;
    bool writes;
    unsigned needs;
} commands[] = {
    [CTL_STATUS] = {"status", false, 0},
    [CTL_APPLY] = {"apply", true, FIELD_PART | FIELD_BODY},
    [CTL_REMOVE] = {"remove", true, FIELD_PART},
    [CTL_ROLLBACK] = {"rollback", true, FIELD_GENERATION},
    [CTL_PIN] = {"pin", true, 0},
    [CTL_UNPIN] = {"unpin", true, 0},
    [CTL_RELOAD] = {"reload", true, 0},
    [CTL_DRAIN] = {"drain", true, FIELD_CLUSTER | FIELD_ENDPOINT},
    [CTL_UNDRAIN] = {"undrain", true, FIELD_CLUSTER | FIELD_ENDPOINT},
};

static const char *const formats[] = {
    [CTL_YAML] = "yaml",
    [CTL_JSON] = "json",
    [CTL_LINES] = "lines",
};

bool ctl_command_writes(ctl_command_e command) {
    return commands[command].writes;
}

const char *ctl_command_name(ctl_command_e command) {
    return commands[command].name;
}

const char *ctl_format_name(ctl_format_e format) {
    return formats[format];
}

bool ctl_part_valid(const char *name) {
    size_t len = strlen(name);

    if (len == 0 || len > CTL_PART_MAX || name[0] == '.') {
        return false;
    }
    for (const char *p = name; *p; p++) {
        char c = mesh_lower(*p);
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!word && c != '.' && c != '_' && c != '-') {
            return false;
        }
    }
    return true;
}

/* A whole number that a double holds exactly. */
static bool number_of(const cJSON *item, uint64_t max, uint64_t *out) {
    double value = item->valuedouble;

    if (!cJSON_IsNumber(item) || !(value >= 0) || value > 9007199254740992.0 ||
        floor(value) != value || (uint64_t)value > max) {
        return false;
    }
    *out = (uint64_t)value;
    return true;
}

static bool read_command(const cJSON *item, ctl_request_t *request) {
    for (size_t i = 0; cJSON_IsString(item) && i < mesh_nelts(commands); i++) {
        if (strcmp(item->valuestring, commands[i].name) == 0) {
            request->command = (ctl_command_e)i;
            return true;
        }
    }
    return false;
}

static bool read_format(const cJSON *item, ctl_request_t *request) {
    for (size_t i = 0; cJSON_IsString(item) && i < mesh_nelts(formats); i++) {
        if (strcmp(item->valuestring, formats[i]) == 0) {
            request->format = (ctl_format_e)i;
            return true;
        }
    }
    return false;
}

static bool read_part(const cJSON *item, ctl_request_t *request) {
    if (!cJSON_IsString(item) || !ctl_part_valid(item->valuestring)) {
        return false;
    }
    memcpy(request->part, item->valuestring, strlen(item->valuestring) + 1);
    return true;
}

/* A text that is not empty, whole. */
static bool read_text(const cJSON *item, char *out, size_t size) {
    size_t len = cJSON_IsString(item) ? strlen(item->valuestring) : 0;

    if (len == 0 || len >= size) {
        return false;
    }
    memcpy(out, item->valuestring, len + 1);
    return true;
}

static bool read_cluster(const cJSON *item, ctl_request_t *request) {
    return read_text(item, request->cluster, sizeof(request->cluster));
}

static bool read_endpoint(const cJSON *item, ctl_request_t *request) {
    return read_text(item, request->endpoint, sizeof(request->endpoint));
}

/* Above 2^53 it comes as digits in a string, as answers have it. */
static bool read_generation(const cJSON *item, ctl_request_t *request) {
    bool right = cJSON_IsString(item)
                     ? ctl_parse_u64(item->valuestring, &request->generation)
                     : number_of(item, UINT64_MAX, &request->generation);

    return right && request->generation != 0;
}

static bool read_resources(const cJSON *item, ctl_request_t *request) {
    request->resources = cJSON_IsTrue(item);
    return cJSON_IsBool(item);
}

static bool read_names(const cJSON *item, ctl_request_t *request) {
    request->names = cJSON_IsTrue(item);
    return cJSON_IsBool(item);
}

static bool read_length(const cJSON *item, ctl_request_t *request) {
    return number_of(item, MODEL_FILE_MAX, &request->length);
}

static bool read_wait(const cJSON *item, ctl_request_t *request) {
    if (!cJSON_IsString(item)) {
        return false;
    }
    request->applied = strcmp(item->valuestring, "applied") == 0;
    return request->applied || strcmp(item->valuestring, "published") == 0;
}

static bool read_timeout(const cJSON *item, ctl_request_t *request) {
    uint64_t ms;

    if (!number_of(item, CTL_TIMEOUT_MAX_MS, &ms)) {
        return false;
    }
    request->timeout_ms = (uint32_t)ms;
    return true;
}

static const struct {
    const char *name;
    bool (*read)(const cJSON *item, ctl_request_t *request);
    unsigned gives;
    const char *expected;
} fields[] = {
    {"command", read_command, 0,
     "status, apply, remove, rollback, pin, unpin, reload, drain or undrain"},
    {"part", read_part, FIELD_PART,
     "a name of letters, digits, \".\", \"_\", \"-\", 64 at most"},
    {"format", read_format, 0, "yaml, json or lines"},
    {"length", read_length, FIELD_BODY, "bytes of the body, 256M at most"},
    {"generation", read_generation, FIELD_GENERATION, "a number from 1"},
    {"cluster", read_cluster, FIELD_CLUSTER, "a name, 1024 bytes at most"},
    {"endpoint", read_endpoint, FIELD_ENDPOINT,
     "an address, 255 bytes at most"},
    {"resources", read_resources, 0, "true or false"},
    {"names", read_names, 0, "true or false"},
    {"wait", read_wait, 0, "published or applied"},
    {"timeout_ms", read_timeout, 0, "milliseconds, 600000 at most"},
};

static const char *read_field(const cJSON *item, ctl_request_t *request,
                              unsigned *given, char error[CTL_ERROR_MAX]) {
    for (size_t i = 0; i < mesh_nelts(fields); i++) {
        if (strcmp(item->string, fields[i].name) != 0) {
            continue;
        }
        if (!fields[i].read(item, request)) {
            snprintf(error, CTL_ERROR_MAX, "%s: expected %s", fields[i].name,
                     fields[i].expected);
            return error;
        }
        *given |= fields[i].gives;
        return NULL;
    }
    snprintf(error, CTL_ERROR_MAX, "unknown field \"%.64s\"", item->string);
    return error;
}

static const char *check_needs(unsigned needs, unsigned given,
                               const char *command, char error[CTL_ERROR_MAX]) {
    for (size_t i = 0; i < mesh_nelts(fields); i++) {
        if (fields[i].gives & needs & ~given) {
            snprintf(error, CTL_ERROR_MAX, "%s needs \"%s\"", command,
                     fields[i].name);
            return error;
        }
    }
    if (given & FIELD_BODY & ~needs) {
        snprintf(error, CTL_ERROR_MAX, "%s takes no body", command);
        return error;
    }
    return NULL;
}

const char *ctl_request_parse(mesh_str_t line, ctl_request_t *request,
                              char error[CTL_ERROR_MAX]) {
    unsigned given = 0;

    *request = (ctl_request_t){.timeout_ms = CTL_TIMEOUT_MS};
    if (line.len > CTL_LINE_MAX) {
        snprintf(error, CTL_ERROR_MAX, "the line is longer than %d bytes",
                 CTL_LINE_MAX);
        return error;
    }
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(line.data, line.len, &end, false);
    while (json && end < line.data + line.len &&
           (*end == ' ' || *end == '\r' || *end == '\t')) {
        end++;
    }
    if (!cJSON_IsObject(json) || end != line.data + line.len) {
        cJSON_Delete(json);
        snprintf(error, CTL_ERROR_MAX, "expected one JSON object a line");
        return error;
    }
    const char *failed = NULL;
    if (cJSON_GetObjectItemCaseSensitive(json, "command") == NULL) {
        snprintf(error, CTL_ERROR_MAX, "\"command\" is missing");
        failed = error;
    }
    for (const cJSON *i = json->child; i && !failed; i = i->next) {
        failed = read_field(i, request, &given, error);
    }
    cJSON_Delete(json);
    if (failed != NULL) {
        return failed;
    }
    return check_needs(commands[request->command].needs, given,
                       commands[request->command].name, error);
}

char *ctl_request_text(const ctl_request_t *request) {
    unsigned needs = commands[request->command].needs;
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "command", commands[request->command].name);
    if (needs & FIELD_PART) {
        cJSON_AddStringToObject(json, "part", request->part);
    }
    if (needs & FIELD_CLUSTER) {
        cJSON_AddStringToObject(json, "cluster", request->cluster);
        cJSON_AddStringToObject(json, "endpoint", request->endpoint);
    }
    if (needs & FIELD_BODY) {
        cJSON_AddStringToObject(json, "format", formats[request->format]);
        cJSON_AddNumberToObject(json, "length", (double)request->length);
    }
    if (needs & FIELD_GENERATION) {
        ctl_json_u64(json, "generation", request->generation);
    }
    if (request->resources) {
        cJSON_AddTrueToObject(json, "resources");
    }
    if (request->names) {
        cJSON_AddTrueToObject(json, "names");
    }
    if (request->applied) {
        cJSON_AddStringToObject(json, "wait", "applied");
        cJSON_AddNumberToObject(json, "timeout_ms", request->timeout_ms);
    }
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (text == NULL) {
        return NULL;
    }
    size_t len = strlen(text);
    char *line = malloc(len + 2);
    if (line != NULL) {
        memcpy(line, text, len);
        memcpy(line + len, "\n", 2);
    }
    cJSON_free(text);
    return line;
}
