/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Route tables: the pieces that parts have of each, their virtual hosts, and
 * the maps from domains to those.
 */

#include "compile_state.h"

#include <stdlib.h>

/* A table as it was made last. */
typedef struct compile_table_s {
    mesh_ref_t name;
    mesh_ref_t ref;
    uint64_t a; /* of the pieces that it was made from */
    uint64_t b;
    compile_memo_t vhosts; /* entries' name: the first domain's text */
    compile_map_t exact;
    compile_map_t suffix;
    compile_map_t prefix;
} compile_table_t;

static void table_free(compile_table_t *t) {
    compile_memo_free(&t->vhosts);
    compile_map_free(&t->exact);
    compile_map_free(&t->suffix);
    compile_map_free(&t->prefix);
}

/* --- domains ------------------------------------------------------------ */

typedef enum { DOMAIN_EXACT, DOMAIN_SUFFIX, DOMAIN_PREFIX, DOMAIN_ANY } form_e;

/* The text that the map of its form has. */
static form_e domain_form(mesh_str_t domain, mesh_str_t *text) {
    *text = domain;
    if (mesh_str_eq(domain, MESH_STR("*"))) {
        return DOMAIN_ANY;
    }
    if (domain.len > 0 && domain.data[0] == '*') {
        *text = (mesh_str_t){domain.len - 1, domain.data + 1};
        return DOMAIN_SUFFIX;
    }
    if (domain.len > 0 && domain.data[domain.len - 1] == '*') {
        text->len--;
        return DOMAIN_PREFIX;
    }
    return DOMAIN_EXACT;
}

/* Domains of one form, and which lengths occur. */
typedef struct {
    compile_entries_t entries;
    bool lens[MESH_DOMAIN_MAX + 1];
} domains_t;

/* The lengths that occur, longest first. */
static mesh_ref_t put_lens(mesh_writer_t *w, const domains_t *domains) {
    uint32_t lens[MESH_DOMAIN_MAX + 1];
    uint32_t n = 0;
    for (uint32_t len = MESH_DOMAIN_MAX + 1; len-- > 0;) {
        if (domains->lens[len]) {
            lens[n++] = len;
        }
    }
    return mesh_writer_put_u32s(w, lens, n);
}

/* --- one table ---------------------------------------------------------- */

/* A table that is being collected. */
typedef struct {
    mesh_writer_t *w;
    const compile_runtime_t *runtime;
    compile_table_t *table;
    domains_t domains[DOMAIN_ANY];
    mesh_ref_t any;
    uint32_t work;
} filling_t;

static mesh_ref_t domain_name(mesh_writer_t *w, mesh_str_t domain) {
    mesh_str_t text;
    return domain_form(domain, &text) == DOMAIN_ANY
               ? 0
               : mesh_writer_put_str(w, text);
}

static compile_memo_entry_t compiled(filling_t *f, const model_vhost_t *vhost,
                                     mesh_str_t version) {
    compile_memo_entry_t key = {0};
    compile_key(vhost, version, vhost->name, &key);
    key.b ^= compile_runtime_hash(f->runtime, vhost);
    const compile_memo_entry_t *found =
        version.len > 0 ? compile_memo_find(&f->table->vhosts, key.a, key.b)
                        : NULL;
    if (found != NULL) {
        return *found;
    }
    key.ref = compile_vhost(f->w, f->runtime, vhost);
    if (vhost->ndomains > 0) {
        key.name = domain_name(f->w, vhost->domains[0]);
    }
    if (version.len > 0) {
        compile_memo_add(&f->table->vhosts, &key);
    }
    f->work++;
    return key;
}

static void add_vhost(filling_t *f, const model_vhost_t *vhost,
                      mesh_str_t version) {
    compile_memo_entry_t made = compiled(f, vhost, version);
    for (uint32_t i = 0; i < vhost->ndomains; i++) {
        mesh_str_t text;
        form_e form = domain_form(vhost->domains[i], &text);
        if (form == DOMAIN_ANY) {
            f->any = made.ref;
            continue;
        }
        mesh_ref_t name = i == 0 ? made.name : mesh_writer_put_str(f->w, text);
        compile_entries_add(&f->domains[form].entries, name, made.ref, 0);
        if (text.len <= MESH_DOMAIN_MAX) {
            f->domains[form].lens[text.len] = true;
        }
    }
}

static mesh_ref_t follow(filling_t *f, compile_map_t *map, form_e form) {
    return compile_map_follow(f->w, map, MESH_KIND_VHOST,
                              &f->domains[form].entries);
}

static mesh_ref_t put_table(filling_t *f, mesh_str_t name, uint32_t flags) {
    compile_table_t *t = f->table;
    mesh_rec_route_table_t rec = {
        .rec = {.kind = MESH_KIND_ROUTE_TABLE, .size = sizeof(rec)},
        .name = mesh_writer_put_str(f->w, name),
        .flags = flags,
        .exact = follow(f, &t->exact, DOMAIN_EXACT),
        .suffix = follow(f, &t->suffix, DOMAIN_SUFFIX),
        .suffix_lens = put_lens(f->w, &f->domains[DOMAIN_SUFFIX]),
        .prefix = follow(f, &t->prefix, DOMAIN_PREFIX),
        .prefix_lens = put_lens(f->w, &f->domains[DOMAIN_PREFIX]),
        .any = f->any,
    };
    compile_memo_turn(&t->vhosts);
    return mesh_writer_put(f->w, &rec.rec);
}

/* About as many domains as last time. */
static filling_t filling(mesh_writer_t *w, compile_table_t *table) {
    filling_t f = {.w = w, .table = table};
    compile_entries_reserve(&f.domains[DOMAIN_EXACT].entries,
                            table->exact.entries.count + 1);
    return f;
}

mesh_ref_t compile_route_table(mesh_writer_t *w, mesh_str_t name,
                               uint32_t flags,
                               const model_vhost_t *const *vhosts,
                               uint32_t count) {
    compile_table_t table = {0};
    filling_t f = filling(w, &table);
    for (uint32_t i = 0; i < count; i++) {
        add_vhost(&f, vhosts[i], MESH_STR(""));
    }
    mesh_ref_t ref = put_table(&f, name, flags);
    table_free(&table);
    return ref;
}

/* --- pieces ------------------------------------------------------------- */

typedef struct {
    const model_route_table_t *table;
    mesh_str_t version;
    uint32_t order;
} piece_t;

static int by_table(const void *a, const void *b) {
    const piece_t *x = a;
    const piece_t *y = b;
    int rc = x->table->name.data == y->table->name.data
                 ? 0
                 : mesh_str_cmp(x->table->name, y->table->name);
    return rc ? rc : (x->order > y->order) - (x->order < y->order);
}

static piece_t *pieces_of(const model_part_t *const *parts, uint32_t nparts,
                          uint32_t *count) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < nparts; i++) {
        n += parts[i]->ntables;
    }
    piece_t *pieces = compile_alloc(n * sizeof(pieces[0]) + 1);
    bool sorted = true;
    *count = n;
    n = 0;
    for (uint32_t i = 0; i < nparts; i++) {
        for (uint32_t k = 0; k < parts[i]->ntables; k++, n++) {
            pieces[n] = (piece_t){&parts[i]->tables[k], parts[i]->version, n};
            sorted &= n == 0 || by_table(&pieces[n - 1], &pieces[n]) < 0;
        }
    }
    if (!sorted) {
        qsort(pieces, n, sizeof(pieces[0]), by_table);
    }
    return pieces;
}

/* The options of a table: of the first piece that said any. */
static uint32_t table_flags(const piece_t *pieces, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (pieces[i].table->flags_said) {
            return pieces[i].table->flags;
        }
    }
    return pieces[0].table->flags;
}

static mesh_ref_t put_pieces(compiler_t *c, compile_table_t *table,
                             const piece_t *pieces, uint32_t count) {
    filling_t f = filling(c->w, table);
    f.runtime = &c->runtime;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < pieces[i].table->nvhosts; k++) {
            add_vhost(&f, &pieces[i].table->vhosts[k], pieces[i].version);
        }
    }
    c->work += f.work;
    return put_table(&f, pieces[0].table->name, table_flags(pieces, count));
}

/* The same pieces make the same table; without versions nobody knows. */
static void table_make(compiler_t *c, compile_table_t *table,
                       const piece_t *pieces, uint32_t count) {
    uint64_t a = count;
    uint64_t b = 0;
    bool versions = true;
    bool keyed = false;
    for (uint32_t i = 0; i < count; i++) {
        mesh_str_t version = pieces[i].version;
        a = mesh_mix64(a ^ (uintptr_t)pieces[i].table);
        b = mesh_mix64(b ^ mesh_hash64(version.data, version.len));
        versions &= version.len > 0;
        keyed |= pieces[i].table->keyed;
    }
    if (keyed) {
        b = mesh_mix64(b ^ c->runtime.hash);
    }
    if (!versions || table->ref == 0 || table->a != a || table->b != b) {
        table->ref = put_pieces(c, table, pieces, count);
        table->a = a;
        table->b = b;
    }
}

/* --- all tables --------------------------------------------------------- */

static uint32_t pieces_run(const piece_t *pieces, uint32_t count) {
    uint32_t n = 1;
    while (n < count &&
           mesh_str_eq(pieces[n].table->name, pieces[0].table->name)) {
        n++;
    }
    return n;
}

/*
 * Takes the table of that name out of those of last time, which are in order
 * of name as well; *at goes on behind it.
 */
static compile_table_t take_table(compile_tables_t *from, uint32_t *at,
                                  const mesh_writer_t *w, mesh_str_t name) {
    for (; *at < from->count; (*at)++) {
        compile_table_t *t = &from->v[*at];
        int rc = mesh_str_cmp(compile_text(w, t->name), name);
        if (rc > 0) {
            break;
        }
        if (rc == 0) {
            compile_table_t taken = *t;
            *t = (compile_table_t){.name = t->name};
            return taken;
        }
    }
    return (compile_table_t){0};
}

mesh_ref_t compile_parts_tables(compiler_t *c, const model_part_t *const *parts,
                                uint32_t nparts) {
    uint32_t count;
    uint32_t at = 0;
    piece_t *pieces = pieces_of(parts, nparts, &count);
    compile_tables_t tables = {
        .v = compile_alloc(count * sizeof(*tables.v) + 1)};
    compile_entries_t entries = {0};
    for (uint32_t i = 0, n; i < count; i += n) {
        mesh_str_t name = pieces[i].table->name;
        compile_table_t *t = &tables.v[tables.count++];
        n = pieces_run(pieces + i, count - i);
        *t = take_table(&c->tables, &at, c->w, name);
        t->name = mesh_writer_put_str(c->w, name);
        table_make(c, t, pieces + i, n);
        compile_entries_add(&entries, t->name, t->ref, 0);
    }
    free(pieces);
    compile_tables_free(&c->tables);
    c->tables = tables;
    return compile_map_follow(c->w, &c->tables_map, MESH_KIND_ROUTE_TABLE,
                              &entries);
}

void compile_tables_move(compile_tables_t *tables,
                         const compile_moved_t *moved) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < tables->count; i++) {
        compile_table_t *t = &tables->v[i];
        if (!compile_moved(moved, &t->name) || !compile_moved(moved, &t->ref)) {
            table_free(t);
            continue;
        }
        compile_memo_move(&t->vhosts, moved);
        compile_map_move(&t->exact, moved);
        compile_map_move(&t->suffix, moved);
        compile_map_move(&t->prefix, moved);
        tables->v[kept++] = *t;
    }
    tables->count = kept;
}

void compile_tables_free(compile_tables_t *tables) {
    for (uint32_t i = 0; i < tables->count; i++) {
        table_free(&tables->v[i]);
    }
    free(tables->v);
    *tables = (compile_tables_t){0};
}
