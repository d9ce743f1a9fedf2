/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One definition an object of the tables, one property a row.
 */

#include "model_schema.h"
#include "model_table.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define OBJECTS_MAX 64
#define NAME_MAX_LEN 64

#define PATTERN_DURATION "([0-9]+([.][0-9]{1,9})?(ms|s|m|h)|0+)$"
#define PATTERN_PERCENT "^0*(100|[0-9]{1,2})%$"

/* Objects that have a definition, in the order in which they were met. */
typedef struct {
    uint32_t count;
    const model_object_t *objects[OBJECTS_MAX];
    char names[OBJECTS_MAX][NAME_MAX_LEN];
    cJSON *definitions;
} schema_t;

static cJSON *field_schema(schema_t *s, const model_field_t *field);
static cJSON *typed_schema(schema_t *s, const model_field_t *field);

/* --- words --------------------------------------------------------------- */

cJSON *model_schema_words(const char *words) {
    char *text = strdup(words);

    assert(text != NULL);

    for (char *p = text; *p; p++) {
        if (*p == '\'') {
            *p = '"';
        }
    }

    cJSON *json = cJSON_Parse(text);

    assert(json != NULL);
    free(text);
    return json;
}

static cJSON *type(const char *name) {
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "type", name);
    return json;
}

/* The next name of a list with spaces; false: there is none. */
static bool next_name(const char **at, char *out, size_t size) {
    size_t len;

    *at += strspn(*at, " ");
    len = strcspn(*at, " ");

    if (len == 0) {
        return false;
    }

    snprintf(out, size, "%.*s", (int)len, *at);
    *at += len;
    return true;
}

static cJSON *required(const char *name) {
    cJSON *json = cJSON_CreateObject();

    cJSON_AddItemToArray(cJSON_AddArrayToObject(json, "required"),
                         cJSON_CreateString(name));
    return json;
}

/* --- rules --------------------------------------------------------------- */

static cJSON *choice_rule(const model_rule_t *rule) {
    cJSON *json = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(
        json, rule->kind == MODEL_RULE_ONE ? "oneOf" : "anyOf");
    const char *at = rule->fields;
    char name[NAME_MAX_LEN];

    while (next_name(&at, name, sizeof(name))) {
        cJSON_AddItemToArray(list, required(name));
    }

    return json;
}

static cJSON *apart_rule(const model_rule_t *rule) {
    cJSON *json = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(cJSON_AddObjectToObject(json, "not"),
                                         "required");
    const char *at = rule->fields;
    char name[NAME_MAX_LEN];

    while (next_name(&at, name, sizeof(name))) {
        cJSON_AddItemToArray(list, cJSON_CreateString(name));
    }

    return json;
}

static cJSON *beside_rule(const model_rule_t *rule) {
    cJSON *json = cJSON_CreateObject();
    cJSON *map = cJSON_AddObjectToObject(json, "dependentRequired");
    const char *at = rule->fields;
    char name[NAME_MAX_LEN];

    while (next_name(&at, name, sizeof(name))) {
        cJSON_AddItemToArray(cJSON_AddArrayToObject(map, name),
                             cJSON_CreateString(rule->other));
    }

    return json;
}

static cJSON *value_rule(const model_rule_t *rule) {
    cJSON *json = cJSON_CreateObject();
    cJSON *some =
        cJSON_AddArrayToObject(cJSON_AddObjectToObject(json, "if"), "anyOf");
    cJSON *then = cJSON_AddObjectToObject(json, "then");
    cJSON *other = cJSON_AddObjectToObject(
        cJSON_AddObjectToObject(then, "properties"), rule->other);
    cJSON *values = cJSON_AddArrayToObject(other, "enum");
    const char *at = rule->fields;
    char name[NAME_MAX_LEN];

    while (next_name(&at, name, sizeof(name))) {
        cJSON_AddItemToArray(some, required(name));
    }

    at = rule->values;

    while (next_name(&at, name, sizeof(name))) {
        cJSON_AddItemToArray(values, strcmp(name, "false") == 0
                                         ? cJSON_CreateFalse()
                                         : cJSON_CreateString(name));
    }

    return json;
}

static void add_rules(cJSON *json, const model_rule_t *rules) {
    if (rules == NULL) {
        return;
    }

    cJSON *all = cJSON_AddArrayToObject(json, "allOf");

    for (; rules->fields != NULL; rules++) {
        cJSON *rule;

        switch (rules->kind) {
        case MODEL_RULE_APART:
            rule = apart_rule(rules);
            break;
        case MODEL_RULE_BESIDE:
            rule = beside_rule(rules);
            break;
        case MODEL_RULE_VALUE:
            rule = value_rule(rules);
            break;
        default:
            rule = choice_rule(rules);
        }

        cJSON_AddItemToArray(all, rule);
    }
}

/* --- objects ------------------------------------------------------------- */

static void add_required(cJSON *json, const model_object_t *object) {
    cJSON *list = NULL;

    for (uint32_t i = 0; i < object->count; i++) {
        if (!(object->fields[i].flags & MODEL_REQUIRED)) {
            continue;
        }

        if (list == NULL) {
            list = cJSON_AddArrayToObject(json, "required");
        }

        cJSON_AddItemToArray(list, cJSON_CreateString(object->fields[i].name));
    }
}

static cJSON *map_schema(schema_t *s, const model_object_t *object) {
    cJSON *json = type("object");
    cJSON *properties = cJSON_AddObjectToObject(json, "properties");

    for (uint32_t i = 0; i < object->count; i++) {
        const model_field_t *field = &object->fields[i];

        if (field->type != MODEL_LATER) {
            cJSON_AddItemToObject(properties, field->name,
                                  field_schema(s, field));
        }
    }

    add_required(json, object);
    cJSON_AddFalseToObject(json, "additionalProperties");
    add_rules(json, object->rules);

    return json;
}

static cJSON *object_schema(schema_t *s, const model_object_t *object) {
    cJSON *map = map_schema(s, object);

    if (object->scalar == NULL) {
        return map;
    }

    cJSON *json = cJSON_CreateObject();
    cJSON *any = cJSON_AddArrayToObject(json, "anyOf");

    for (uint32_t i = 0; i < object->count; i++) {
        if (strcmp(object->fields[i].name, object->scalar) == 0) {
            cJSON_AddItemToArray(any, field_schema(s, &object->fields[i]));
        }
    }

    cJSON_AddItemToArray(any, map);
    return json;
}

/* "a header match" to "header_match"; a second one of a name gets a number. */
static void name_object(schema_t *s, const model_object_t *object, char *name) {
    const char *words = object->name;
    uint32_t same = 1;

    if (strncmp(words, "a ", 2) == 0 || strncmp(words, "an ", 3) == 0) {
        words = strchr(words, ' ') + 1;
    }

    for (uint32_t i = 0; i < s->count; i++) {
        same += strcmp(s->objects[i]->name, object->name) == 0;
    }

    int len = snprintf(name, NAME_MAX_LEN, "%s", words);

    for (int i = 0; i < len; i++) {
        name[i] = isalnum((unsigned char)name[i]) ? name[i] : '_';
    }

    if (same > 1) {
        snprintf(name + len, NAME_MAX_LEN - (size_t)len, "_%u", same);
    }
}

static cJSON *reference(schema_t *s, const model_object_t *object) {
    char text[NAME_MAX_LEN + 16];
    cJSON *json = cJSON_CreateObject();
    uint32_t i = 0;

    while (i < s->count && s->objects[i] != object) {
        i++;
    }

    if (i == s->count) {
        assert(s->count < OBJECTS_MAX);
        name_object(s, object, s->names[i]);
        s->objects[i] = object;
        s->count++;

        /* Its place first: definitions stand in the order of their use. */
        cJSON_AddNullToObject(s->definitions, s->names[i]);

        cJSON *made = object_schema(s, object);

        cJSON_AddStringToObject(made, "title", object->name);
        cJSON_ReplaceItemInObjectCaseSensitive(s->definitions, s->names[i],
                                               made);
    }

    snprintf(text, sizeof(text), "#/$defs/%s", s->names[i]);
    cJSON_AddStringToObject(json, "$ref", text);
    return json;
}

/* --- fields -------------------------------------------------------------- */

static void add_lengths(cJSON *json, const model_field_t *field) {
    /* The decoder counts bytes, of which there are at least as many. */
    if (field->min != 0) {
        cJSON_AddNumberToObject(json, "minLength", 1);
    }

    if (field->max != 0) {
        cJSON_AddNumberToObject(json, "maxLength", (double)field->max);
    }
}

static cJSON *number_schema(const model_field_t *field) {
    cJSON *json = type("integer");

    cJSON_AddNumberToObject(json, "minimum", (double)field->min);
    cJSON_AddNumberToObject(json, "maximum", (double)field->max);

    /* One that nobody can write is no number but a word of ours. */
    if (field->fallback != 0 && field->fallback <= field->max) {
        cJSON_AddNumberToObject(json, "default", (double)field->fallback);
    }

    return json;
}

static cJSON *duration_schema(const model_field_t *field) {
    cJSON *json = cJSON_CreateObject();
    cJSON *any = cJSON_AddArrayToObject(json, "anyOf");
    cJSON *text = type("string");

    cJSON_AddStringToObject(text, "pattern",
                            field->min == 0 ? "^" PATTERN_DURATION
                                            : "^(?=.*[1-9])" PATTERN_DURATION);
    cJSON_AddItemToArray(any, text);

    if (field->min == 0) {
        cJSON_AddItemToArray(any, model_schema_words("{'const': 0}"));
    }

    if (field->fallback != 0) {
        char words[32];
        unsigned ms = (unsigned)field->fallback;

        snprintf(words, sizeof(words), ms % 1000 ? "%ums" : "%us",
                 ms % 1000 ? ms : ms / 1000);
        cJSON_AddStringToObject(json, "default", words);
    }

    return json;
}

static cJSON *percent_schema(const model_field_t *field) {
    cJSON *json = model_schema_words(
        "{'anyOf': [{'type': 'integer', 'minimum': 0, 'maximum': 100}, "
        "{'type': 'string', 'pattern': '" PATTERN_PERCENT "'}]}");

    if (field->fallback != 0) {
        cJSON_AddNumberToObject(json, "default", (double)field->fallback);
    }

    return json;
}

static cJSON *bool_schema(const model_field_t *field) {
    cJSON *json = type("boolean");

    if (field->min != 0) {
        cJSON_AddTrueToObject(json, "const");
    } else {
        cJSON_AddBoolToObject(json, "default", field->fallback != 0);
    }

    return json;
}

static cJSON *enum_schema(const model_field_t *field) {
    cJSON *json = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(json, "enum");
    bool has_default =
        field->type == MODEL_ENUM && !(field->flags & MODEL_REQUIRED);

    for (const model_value_t *v = field->values; v->name != NULL; v++) {
        if (v->value == MODEL_VALUE_LATER) {
            continue;
        }

        cJSON_AddItemToArray(list, cJSON_CreateString(v->name));

        if (has_default && v->value == field->fallback) {
            cJSON_AddStringToObject(json, "default", v->name);
            has_default = false;
        }
    }

    return json;
}

static cJSON *list_schema(schema_t *s, const model_field_t *field) {
    cJSON *json = type("array");

    cJSON_AddItemToObject(json, "items", field_schema(s, field->element));

    if (field->flags & MODEL_FILLED) {
        cJSON_AddNumberToObject(json, "minItems", 1);
    }

    if (field->max != 0) {
        cJSON_AddNumberToObject(json, "maxItems", (double)field->max);
    }

    if (!(field->flags & MODEL_SINGLE)) {
        return json;
    }

    cJSON *both = cJSON_CreateObject();
    cJSON *any = cJSON_AddArrayToObject(both, "anyOf");

    cJSON_AddItemToArray(any, field_schema(s, field->element));
    cJSON_AddItemToArray(any, json);
    return both;
}

static cJSON *named_schema(schema_t *s, const model_field_t *field) {
    cJSON *json = type("object");

    cJSON *names = cJSON_AddObjectToObject(json, "propertyNames");

    if (field->keys != NULL && field->keys[0] != '\0') {
        cJSON_AddStringToObject(names, "pattern", field->keys);
    } else {
        cJSON_AddNumberToObject(names, "minLength", 1);
    }

    cJSON_AddItemToObject(json, "additionalProperties",
                          field_schema(s, field->element));

    if (field->flags & MODEL_FILLED) {
        cJSON_AddNumberToObject(json, "minProperties", 1);
    }

    if (field->max != 0) {
        cJSON_AddNumberToObject(json, "maxProperties", (double)field->max);
    }

    return json;
}

static cJSON *custom_schema(schema_t *s, const model_field_t *field) {
    if (field->schema != NULL) {
        return model_schema_words(field->schema);
    }

    if (field->object != NULL && field->values != NULL) {
        cJSON *json = cJSON_CreateObject();
        cJSON *any = cJSON_AddArrayToObject(json, "anyOf");

        cJSON_AddItemToArray(any, enum_schema(field));
        cJSON_AddItemToArray(any, reference(s, field->object));
        return json;
    }

    if (field->object != NULL) {
        return reference(s, field->object);
    }

    if (field->flags & MODEL_ALONE) {
        return typed_schema(s, field->element);
    }

    if (field->element != NULL) {
        return field->keys != NULL ? named_schema(s, field)
                                   : list_schema(s, field);
    }

    cJSON *json = type("string");

    if (field->pattern != NULL) {
        cJSON_AddStringToObject(json, "pattern", field->pattern);
    }

    add_lengths(json, field);
    return json;
}

static cJSON *string_schema(const model_field_t *field) {
    cJSON *json = type("string");

    add_lengths(json, field);
    return json;
}

static cJSON *typed_schema(schema_t *s, const model_field_t *field) {
    switch (field->type) {
    case MODEL_STRING:
        return string_schema(field);
    case MODEL_BOOL:
        return bool_schema(field);
    case MODEL_U32:
        return number_schema(field);
    case MODEL_DURATION:
        return duration_schema(field);
    case MODEL_PERCENT:
        return percent_schema(field);
    case MODEL_ENUM:
    case MODEL_BIT:
        return enum_schema(field);
    case MODEL_OBJECT:
        return reference(s, field->object);
    case MODEL_LIST:
        return list_schema(s, field);
    case MODEL_MAP:
        return named_schema(s, field);
    default:
        return custom_schema(s, field);
    }
}

static cJSON *field_schema(schema_t *s, const model_field_t *field) {
    cJSON *json = typed_schema(s, field);

    if (field->about != NULL) {
        cJSON_AddStringToObject(json, "description", field->about);
    }

    return json;
}

cJSON *model_schema(void) {
    schema_t s = {.definitions = cJSON_CreateObject()};
    cJSON *json = cJSON_CreateObject();
    cJSON *map = map_schema(&s, &model_file_object);

    cJSON_AddStringToObject(json, "$schema", MODEL_SCHEMA_DRAFT);
    cJSON_AddStringToObject(json, "title", "nginx-mesh: a mesh");
    cJSON_AddStringToObject(
        json, "description",
        "Clusters, endpoints, hosts and routes of nginx-mesh. Made by "
        "`meshctl schema mesh`.");

    while (map->child != NULL) {
        cJSON *item = cJSON_DetachItemViaPointer(map, map->child);
        char *key = item->string;

        item->string = NULL;
        cJSON_AddItemToObject(json, key, item);
        cJSON_free(key);
    }

    cJSON_Delete(map);
    cJSON_AddItemToObject(json, "$defs", s.definitions);
    return json;
}
