/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The published schema has a property for each row of the tables, with a
 * description, and none for what is not supported yet; types, bounds and
 * rules are those of the rows.  t/agent/test_schema.py holds it against the
 * decoder.
 */

#include "model_objects.h"
#include "model_schema.h"

static cJSON *schema;

static int setup(void **state) {
    (void)state;
    schema = model_schema();
    return schema == NULL;
}

static int teardown(void **state) {
    (void)state;
    cJSON_Delete(schema);
    return 0;
}

/* "cluster/properties/lb" below $defs, or from the top with a "/" first. */
static cJSON *at(const char *path) {
    cJSON *json =
        path[0] == '/' ? schema : cJSON_GetObjectItem(schema, "$defs");

    path += path[0] == '/';
    while (json != NULL && *path != '\0') {
        char key[64];
        size_t len = strcspn(path, "/");

        snprintf(key, sizeof(key), "%.*s", (int)len, path);
        json = cJSON_IsArray(json)
                   ? cJSON_GetArrayItem(json, key[0] - '0')
                   : cJSON_GetObjectItemCaseSensitive(json, key);
        path += len + (path[len] == '/');
    }
    return json;
}

static void expect(const char *path, const char *wanted) {
    cJSON *json = at(path), *right = cJSON_Parse(wanted);

    assert_non_null(right);
    if (json == NULL || !cJSON_Compare(json, right, true)) {
        char *text = json ? cJSON_Print(json) : strdup("nothing");
        fail_msg("%s is %s, not %s", path, text, wanted);
    }
    cJSON_Delete(right);
}

/* The map of an object: of one with a short form it is the second. */
static const cJSON *map_of(const cJSON *made) {
    const cJSON *any = cJSON_GetObjectItem(made, "anyOf");

    return any ? cJSON_GetArrayItem(any, 1) : made;
}

static void check_object(const model_object_t *object, const cJSON *made) {
    const cJSON *map = map_of(made);
    const cJSON *properties = cJSON_GetObjectItem(map, "properties");
    int rows = 0;

    assert_true(
        cJSON_IsFalse(cJSON_GetObjectItem(map, "additionalProperties")));
    for (uint32_t i = 0; i < object->count; i++) {
        const model_field_t *field = &object->fields[i];
        const cJSON *property =
            cJSON_GetObjectItemCaseSensitive(properties, field->name);

        if (field->type == MODEL_LATER) {
            assert_null(property);
            continue;
        }
        rows++;
        if (property == NULL || field->about == NULL) {
            fail_msg("%s: %s is not published or not described", object->name,
                     field->name);
        }
        assert_string_equal(
            cJSON_GetStringValue(cJSON_GetObjectItem(property, "description")),
            field->about);
        assert_null(strchr(field->about, '\n'));
        assert_true(strlen(field->about) < 120);
    }
    assert_int_equal(cJSON_GetArraySize(properties), rows);
}

static void test_each_row_is_published(void **state) {
    objects_t objects = objects_of(true);
    const cJSON *made;
    uint32_t found = 1;
    (void)state;

    assert_true(objects.count > 20);
    check_object(&model_file_object, schema);
    cJSON_ArrayForEach(made, cJSON_GetObjectItem(schema, "$defs")) {
        const char *title =
            cJSON_GetStringValue(cJSON_GetObjectItem(made, "title"));

        for (uint32_t i = 1; i < objects.count; i++) {
            if (strcmp(objects.v[i]->name, title) == 0) {
                check_object(objects.v[i], made);
            }
        }
        found++;
    }
    assert_int_equal(found, objects.count);
}

/* All that is referred to is there. */
static void check_references(const cJSON *json) {
    const cJSON *item;
    const char *ref = cJSON_GetStringValue(cJSON_GetObjectItem(json, "$ref"));

    if (ref != NULL) {
        assert_int_equal(strncmp(ref, "#/$defs/", 8), 0);
        assert_non_null(at(ref + 8));
    }
    cJSON_ArrayForEach(item, json) {
        check_references(item);
    }
}

static void test_references(void **state) {
    (void)state;
    check_references(schema);
}

static void test_types(void **state) {
    (void)state;
    expect("endpoint/anyOf/1/properties/weight",
           "{\"type\": \"integer\", \"minimum\": 0, \"maximum\": 16777216, "
           "\"default\": 1, \"description\": "
           "\"its share of the traffic; 0: none\"}");
    expect("route/properties/timeout/default", "\"15s\"");
    expect("route/properties/timeout/anyOf/1", "{\"const\": 0}");
    expect("balancer/anyOf/1/properties/decay_time/anyOf",
           "[{\"type\": \"string\", \"pattern\": "
           "\"^(?=.*[1-9])([0-9]+([.][0-9]{1,9})?(ms|s|m|h)|0+)$\"}]");
    expect("cluster/properties/panic_threshold/anyOf/0",
           "{\"type\": \"integer\", \"minimum\": 0, \"maximum\": 100}");
    expect("cluster/properties/panic_threshold/default", "50");
    expect("cluster/properties/protocol/enum",
           "[\"http1\", \"http2\", \"grpc\"]");
    expect("cluster/properties/protocol/default", "\"http1\"");
    expect("route_table/properties/ignore_port/default", "true");
    expect("route_table/properties/merge_slashes/default", "false");
    expect("hash_policy/properties/source_ip/const", "true");
    expect("locality/properties/zone",
           "{\"type\": \"string\", \"minLength\": 1, \"maxLength\": 256, "
           "\"description\": \"its zone\"}");
    expect("host/properties/domains/anyOf/1/minItems", "1");
    expect("match/properties/source/anyOf/1/maxItems", "256");
    expect("match/properties/headers/propertyNames/pattern",
           "\"^(:(method|authority|path|scheme)|"
           "[-!#$%&'*+.^_`|~0-9A-Za-z]+)$\"");
    expect("match/properties/headers/maxProperties", "64");
    expect("endpoint/anyOf/1/properties/labels/propertyNames",
           "{\"minLength\": 1}");
    expect("endpoint/anyOf/1/required", "[\"address\"]");
    expect("redirect/properties/status/enum", "[301, 302, 303, 307, 308]");
}

static void test_rules(void **state) {
    (void)state;
    expect("route/allOf/0",
           "{\"oneOf\": [{\"required\": [\"route\"]}, {\"required\": "
           "[\"redirect\"]}, {\"required\": [\"respond\"]}]}");
    expect("route/allOf/1/dependentRequired/retries", "[\"route\"]");
    expect("route/allOf/1/dependentRequired/mirror", "[\"route\"]");
    expect("route/allOf/1/dependentRequired/cors", "[\"route\"]");
    expect("route/allOf/1/dependentRequired/internal_redirects", "[\"route\"]");
    expect("route/allOf/1/dependentRequired/max_request_body", "[\"route\"]");
    expect("redirect/allOf/0/anyOf/4", "{\"required\": [\"prefix_rewrite\"]}");
    expect("redirect/allOf/1",
           "{\"not\": {\"required\": [\"path\", \"prefix_rewrite\"]}}");
    expect("balancer/anyOf/1/allOf/4",
           "{\"if\": {\"anyOf\": [{\"required\": [\"table_size\"]}]}, "
           "\"then\": {\"properties\": {\"policy\": {\"enum\": "
           "[\"maglev\"]}}}}");
    expect("balancer/anyOf/1/allOf/7",
           "{\"if\": {\"anyOf\": [{\"required\": [\"locality_weights\"]}, "
           "{\"required\": [\"zone_aware\"]}]}, "
           "\"then\": {\"properties\": {\"locality_failover\": {\"enum\": "
           "[false]}}}}");
    expect("path_match/anyOf/1/allOf/1/then/properties/ignore_case",
           "{\"enum\": [false]}");
}

/* Two of one name: the cookies of hash policies and of sessions. */
static void test_names_differ(void **state) {
    (void)state;
    assert_non_null(at("cookie/anyOf/1/allOf"));
    assert_non_null(at("cookie_2"));
    assert_null(at("cookie_2/anyOf/1/allOf"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_row_is_published),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_names_differ),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
