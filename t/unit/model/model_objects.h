/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The tables of the configuration's maps, each once.
 */

#ifndef MODEL_OBJECTS_H
#define MODEL_OBJECTS_H

#include "model_fixture.h"
#include "model_table.h"

#define OBJECTS_MAX 64

typedef struct {
    bool published; /* in the schema: fields with words of their own end it */
    uint32_t count;
    const model_object_t *v[OBJECTS_MAX];
} objects_t;

static inline void objects_add(objects_t *objects,
                               const model_object_t *object);

static inline void objects_add_field(objects_t *objects,
                                     const model_field_t *field) {
    bool ends = objects->published && field->schema != NULL;

    if (field->object != NULL && !ends) {
        objects_add(objects, field->object);
    }
    if (field->element != NULL) {
        objects_add_field(objects, field->element);
    }
}

static inline void objects_add(objects_t *objects,
                               const model_object_t *object) {
    for (uint32_t i = 0; i < objects->count; i++) {
        if (objects->v[i] == object) {
            return;
        }
    }
    assert_true(objects->count < OBJECTS_MAX);
    objects->v[objects->count++] = object;
    for (uint32_t i = 0; i < object->count; i++) {
        objects_add_field(objects, &object->fields[i]);
    }
}

/* Of the whole file, which is the first. */
static inline objects_t objects_of(bool published) {
    objects_t objects = {.published = published};

    objects_add(&objects, &model_file_object);
    return objects;
}

#endif /* MODEL_OBJECTS_H */
