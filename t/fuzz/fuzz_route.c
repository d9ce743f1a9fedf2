/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bytes choose routes and requests; what the compiled snapshot answers must
 * be what the model says.
 */

#include "mesh_route.h"
#include "route_naive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const image_t *image, mesh_ref_t ref, const world_t *world,
                  choice_t *choice) {
    fixture_request_t f;
    mesh_route_match_t match;
    world_text_t text;
    world_point_t point;

    world_request(choice, &f, &text);
    mesh_route_match(&image->s, mesh_get(&image->s, ref), &f.r, &match);
    if (match.index != world_first(world, &f, &point) || f.draws != point.drawn)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    choice_t choice = {.data = data, .len = size};
    mesh_writer_t *w = mesh_writer_create(1, FIXTURE_CAPACITY);
    world_t world;
    image_t image;

    world_init(&world, &choice);

    const model_vhost_t *vhosts[] = {&world.vhost};
    mesh_ref_t ref = compile_route_table(w, MESH_STR("t"), 0, vhosts, 1);

    if (ref == 0 || image_open(&image, w) != MESH_OK)
        abort();
    for (unsigned i = 0; i < 8; i++)
        check(&image, ref, &world, &choice);
    image_close(&image);
    mesh_writer_free(w);
    return 0;
}
