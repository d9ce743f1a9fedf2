/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The core module: mesh_zone, and the runtime that a master keeps for its
 * workers.
 *
 * The runtime is opened in init_conf, where a failure refuses the start or
 * the reload; a failing init_module would end a running master.
 */

#include <sys/stat.h>

#include <nginx.h>

#include "ngx_mesh_worker.h"
#include "mesh_subset.h"


static void *ngx_mesh_core_create_conf(ngx_cycle_t *cycle);
static char *ngx_mesh_core_init_conf(ngx_cycle_t *cycle, void *conf);
static ngx_int_t ngx_mesh_core_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_mesh_core_init_process(ngx_cycle_t *cycle);
static void ngx_mesh_core_exit_process(ngx_cycle_t *cycle);
static char *ngx_mesh_core_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_mesh_core_commands[] = {

    { ngx_string("mesh_zone"),
      NGX_MAIN_CONF|NGX_DIRECT_CONF|NGX_CONF_1MORE,
      ngx_mesh_core_zone,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_core_module_t  ngx_mesh_core_module_ctx = {
    ngx_string("mesh"),
    ngx_mesh_core_create_conf,
    ngx_mesh_core_init_conf
};


ngx_module_t  ngx_mesh_core_module = {
    NGX_MODULE_V1,
    &ngx_mesh_core_module_ctx,          /* module context */
    ngx_mesh_core_commands,             /* module directives */
    NGX_CORE_MODULE,                    /* module type */
    NULL,                               /* init master */
    ngx_mesh_core_init_module,          /* init module */
    ngx_mesh_core_init_process,         /* init process */
    NULL,                               /* init thread */
    NULL,                               /* exit thread */
    ngx_mesh_core_exit_process,         /* exit process */
    NULL,                               /* exit master */
    NGX_MODULE_V1_PADDING
};


typedef struct {
    ngx_str_t    name;                  /* with "=" */
    size_t       offset;                /* in mesh_runtime_sizes_t */
    ngx_int_t    max;
} ngx_mesh_size_arg_t;


static ngx_mesh_size_arg_t  ngx_mesh_size_args[] = {
    { ngx_string("workers="),
      offsetof(mesh_runtime_sizes_t, workers), MESH_RUNTIME_WORKERS_MAX },
    { ngx_string("clusters="),
      offsetof(mesh_runtime_sizes_t, clusters), MESH_RUNTIME_SLOTS_MAX },
    { ngx_string("routes="),
      offsetof(mesh_runtime_sizes_t, routes), MESH_RUNTIME_SLOTS_MAX },
    { ngx_string("endpoints="),
      offsetof(mesh_runtime_sizes_t, endpoints), MESH_RUNTIME_SLOTS_MAX },
    { ngx_null_string, 0, 0 }
};


static void *
ngx_mesh_core_create_conf(ngx_cycle_t *cycle)
{
    ngx_mesh_core_conf_t  *mcf;

    mcf = ngx_pcalloc(cycle->pool, sizeof(ngx_mesh_core_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    /* workers: 0 until init_conf, where nginx's own number is known. */
    mcf->sizes.clusters = MESH_RUNTIME_CLUSTERS;
    mcf->sizes.routes = MESH_RUNTIME_ROUTES;
    mcf->sizes.endpoints = MESH_RUNTIME_ENDPOINTS;

    return mcf;
}


/* --- the directive ------------------------------------------------------- */

static char *
ngx_mesh_core_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_mesh_zone_directive(cf);
}


/* A path of the configuration: absolute, NUL-terminated, of bounded size. */
static ngx_int_t
ngx_mesh_zone_full_path(ngx_conf_t *cf, ngx_str_t *out, ngx_str_t *value)
{
    ngx_str_t  path;

    path = *value;

    if (path.len == 0 || ngx_conf_full_name(cf->cycle, &path, 0) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_zone\" has an empty path");
        return NGX_ERROR;
    }

    while (path.len > 1 && path.data[path.len - 1] == '/') {
        path.len--;
    }

    /* Room for the names of files in it. */
    if (path.len > MESH_ZONE_PATH_MAX - 64) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"mesh_zone\" has a path above %d bytes",
                           MESH_ZONE_PATH_MAX - 64);
        return NGX_ERROR;
    }

    out->data = ngx_pnalloc(cf->pool, path.len + 1);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    out->len = path.len;
    (void) ngx_cpystrn(out->data, path.data, path.len + 1);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_zone_argument(ngx_conf_t *cf, ngx_mesh_core_conf_t *mcf,
    ngx_str_t *value)
{
    ngx_int_t             n;
    ngx_str_t             rest;
    ngx_mesh_size_arg_t  *arg;

    for (arg = ngx_mesh_size_args; arg->name.len; arg++) {

        if (value->len <= arg->name.len
            || ngx_strncmp(value->data, arg->name.data, arg->name.len) != 0)
        {
            continue;
        }

        n = ngx_atoi(value->data + arg->name.len, value->len - arg->name.len);

        if (n < 1 || n > arg->max) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"%V\" in \"mesh_zone\": "
                               "expected 1 to %i", value, arg->max);
            return NGX_ERROR;
        }

        *(uint32_t *) ((u_char *) &mcf->sizes + arg->offset) = (uint32_t) n;

        return NGX_OK;
    }

    if (ngx_strncmp(value->data, "fallback=", 9) == 0) {
        rest.data = value->data + 9;
        rest.len = value->len - 9;
        return ngx_mesh_zone_full_path(cf, &mcf->fallback, &rest);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown argument \"%V\" of \"mesh_zone\"", value);

    return NGX_ERROR;
}


char *
ngx_mesh_zone_directive(ngx_conf_t *cf)
{
    ngx_str_t             *value;
    ngx_uint_t             i;
    ngx_mesh_core_conf_t  *mcf;

    mcf = (ngx_mesh_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                                ngx_mesh_core_module);

    if (mcf->path.len) {
        return "is duplicate: one zone is for http and stream alike";
    }

    value = cf->args->elts;

    if (ngx_mesh_zone_full_path(cf, &mcf->path, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_mesh_zone_argument(cf, mcf, &value[i]) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


ngx_flag_t
ngx_mesh_zone_configured(ngx_cycle_t *cycle)
{
    ngx_mesh_core_conf_t  *mcf;

    mcf = (ngx_mesh_core_conf_t *) ngx_get_conf(cycle->conf_ctx,
                                                ngx_mesh_core_module);

    return mcf != NULL && mcf->path.len != 0;
}


static ngx_int_t
ngx_mesh_subset_canonical(ngx_conf_t *cf, mesh_str_t *subset)
{
    char    name[MESH_SUBSET_NAME_MAX];
    char   *text;
    size_t  len;

    len = mesh_subset_canonical(*subset, name);
    text = len ? ngx_pnalloc(cf->pool, len) : NULL;

    if (text == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(text, name, len);
    *subset = (mesh_str_t) { len, text };

    return NGX_OK;
}


char *
ngx_mesh_cluster_directive(ngx_conf_t *cf, ngx_mesh_cluster_ref_t *ref)
{
    u_char     *slash, *last;
    ngx_str_t  *value;

    if (ref->name.len) {
        return "is duplicate";
    }

    value = cf->args->elts;
    last = value[1].data + value[1].len;
    slash = ngx_strlchr(value[1].data, last, '/');

    ref->name.data = (char *) value[1].data;
    ref->name.len = (slash ? slash : last) - value[1].data;

    if (slash) {
        ref->subset.data = (char *) slash + 1;
        ref->subset.len = last - (slash + 1);
    }

    if (ref->name.len == 0 || (slash && ref->subset.len == 0)) {
        return "takes NAME or NAME/SUBSET of a mesh cluster";
    }

    if (mesh_subset_by_labels(ref->subset)
        && ngx_mesh_subset_canonical(cf, &ref->subset) != NGX_OK)
    {
        return "takes a subset as KEY=VALUE,KEY=VALUE, each key once, with "
               "%20 for a space and %2F for a slash";
    }

    if (slash) {
        ref->subset_hash = mesh_hash32(ref->subset.data, ref->subset.len);
    }

    ref->name_hash = mesh_hash32(ref->name.data, ref->name.len);

    return NGX_CONF_OK;
}


ngx_int_t
ngx_mesh_abi_check(ngx_conf_t *cf, ngx_uint_t abi, const char *who)
{
    if (abi == NGX_MESH_ABI) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "%s was built for interface %ui of "
                       "ngx_mesh_core_module, which has %d: "
                       "install modules of one build",
                       who, abi, NGX_MESH_ABI);

    return NGX_ERROR;
}


/* --- the zone ------------------------------------------------------------ */

static void
ngx_mesh_zone_free(ngx_mesh_zone_t *zone)
{
    if (zone->file.rt.head) {
        mesh_runtime_close(&zone->file);
    }

    ngx_free(zone->path.data);
    ngx_free(zone);
}


/* A cycle that used the zone ends. */
static void
ngx_mesh_zone_cleanup(void *data)
{
    ngx_mesh_zone_t  *zone;
    ngx_mesh_core_conf_t  *mcf = data;

    zone = mcf->zone;

    if (zone == NULL || --zone->cycles) {
        return;
    }

    /* Without a master, the module may be unloaded by a reload right now. */
    if (ngx_mesh_worker.zone == zone) {
        ngx_mesh_worker_stop();
    }

    ngx_mesh_zone_free(zone);
}


static ngx_mesh_zone_t *
ngx_mesh_zone_alloc(ngx_mesh_core_conf_t *mcf, ngx_log_t *log)
{
    ngx_mesh_zone_t  *zone;

    zone = ngx_calloc(sizeof(ngx_mesh_zone_t), log);
    if (zone == NULL) {
        return NULL;
    }

    zone->path.data = ngx_alloc(mcf->path.len + 1, log);
    if (zone->path.data == NULL) {
        ngx_free(zone);
        return NULL;
    }

    zone->path.len = mcf->path.len;
    ngx_memcpy(zone->path.data, mcf->path.data, mcf->path.len + 1);
    zone->sizes = mcf->sizes;
    zone->file.fd = -1;

    return zone;
}


/* Workers open the file themselves, as the user that they run as. */
static ngx_int_t
ngx_mesh_zone_own(ngx_cycle_t *cycle, ngx_mesh_zone_t *zone)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (geteuid() != 0 || ccf->user == (uid_t) NGX_CONF_UNSET_UINT) {
        return NGX_OK;
    }

    if (fchown(zone->file.fd, ccf->user, ccf->group) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "mesh_zone \"%V\": cannot give the runtime to user %d",
                      &zone->path, (int) ccf->user);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_mesh_zone_log_failure(ngx_cycle_t *cycle, ngx_mesh_zone_t *zone,
    mesh_status_t rc)
{
    if (rc == MESH_BUSY) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "mesh_zone \"%V\" is in use by another nginx, or by "
                      "workers of one that was killed, which hold the lock "
                      "of its runtime; give each nginx a directory of its "
                      "own",
                      &zone->path);
        return;
    }

    ngx_log_error(NGX_LOG_EMERG, cycle->log, zone->file.err,
                  "mesh_zone \"%V\": %s failed", &zone->path,
                  zone->file.what ? zone->file.what : "opening the runtime");
}


static ngx_mesh_zone_t *
ngx_mesh_zone_open(ngx_cycle_t *cycle, ngx_mesh_core_conf_t *mcf,
    ngx_uint_t share)
{
    struct stat       st;
    mesh_status_t     rc;
    ngx_mesh_zone_t  *zone;

    zone = ngx_mesh_zone_alloc(mcf, cycle->log);
    if (zone == NULL) {
        return NULL;
    }

    rc = mesh_runtime_open(&zone->file, (char *) zone->path.data,
                           &zone->sizes, share, ngx_current_msec);
    if (rc != MESH_OK) {
        ngx_mesh_zone_log_failure(cycle, zone, rc);
        zone->file.rt.head = NULL;
        goto failed;
    }

    if (fstat(zone->file.fd, &st) == -1
        || ngx_mesh_zone_own(cycle, zone) != NGX_OK)
    {
        goto failed;
    }

    zone->dev = st.st_dev;
    zone->ino = st.st_ino;

    return zone;

failed:

    ngx_mesh_zone_free(zone);

    return NULL;
}


/* Is the zone's runtime file still the one in its directory? */
static ngx_uint_t
ngx_mesh_zone_intact(ngx_mesh_zone_t *zone)
{
    char         path[MESH_ZONE_PATH_MAX];
    struct stat  st;

    return mesh_zone_path(path, sizeof(path), (char *) zone->path.data,
                          MESH_ZONE_RUNTIME, MESH_RUNTIME_VERSION) == MESH_OK
           && stat(path, &st) == 0
           && st.st_dev == zone->dev
           && st.st_ino == zone->ino;
}


static ngx_mesh_zone_t *
ngx_mesh_zone_of_old_cycle(ngx_cycle_t *cycle)
{
    ngx_mesh_core_conf_t  *mcf;

    if (ngx_is_init_cycle(cycle->old_cycle)) {
        return NULL;
    }

    mcf = (ngx_mesh_core_conf_t *) ngx_get_conf(cycle->old_cycle->conf_ctx,
                                                ngx_mesh_core_module);

    return mcf ? mcf->zone : NULL;
}


/*
 * Slots for workers that nobody asked for a number of: those of four reloads
 * may drain side by side.  In steps, because another number means another
 * file.
 */
static uint32_t
ngx_mesh_zone_workers(ngx_cycle_t *cycle)
{
    ngx_uint_t        want;
    uint32_t          n;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    want = 4 * (ngx_uint_t) ngx_max(ccf->worker_processes, 1);

    for (n = MESH_RUNTIME_WORKERS;
         n < want && n < MESH_RUNTIME_WORKERS_MAX;
         n *= 2)
    {
        /* void */
    }

    return n;
}


/*
 * The old cycle's zone if it can serve the new one, a newly opened one, or
 * NULL after a line in the log.
 */
static ngx_mesh_zone_t *
ngx_mesh_zone_get(ngx_cycle_t *cycle, ngx_mesh_core_conf_t *mcf)
{
    ngx_uint_t        same, intact;
    ngx_mesh_zone_t  *old;

    old = ngx_mesh_zone_of_old_cycle(cycle);

    if (old == NULL) {
        /* A binary that USR2 started; its parent holds the lock. */
        return ngx_mesh_zone_open(cycle, mcf,
                                  ngx_is_init_cycle(cycle->old_cycle)
                                  && ngx_inherited);
    }

    same = old->path.len == mcf->path.len
           && ngx_memcmp(old->path.data, mcf->path.data, mcf->path.len) == 0;

    intact = same && ngx_mesh_zone_intact(old);

    if (intact
        && mesh_runtime_whole(&old->file)
        && ngx_memcmp(&old->sizes, &mcf->sizes, sizeof(mesh_runtime_sizes_t))
           == 0)
    {
        return ngx_mesh_zone_own(cycle, old) == NGX_OK ? old : NULL;
    }

    /* The lock that is in the way of another file is our own. */
    return ngx_mesh_zone_open(cycle, mcf, intact);
}


static char *
ngx_mesh_core_init_conf(ngx_cycle_t *cycle, void *conf)
{
    ngx_mesh_core_conf_t  *mcf = conf;

    ngx_mesh_zone_t     *zone;
    ngx_pool_cleanup_t  *cln;

    if (mcf->path.len == 0
        || ngx_test_config
        || ngx_process == NGX_PROCESS_SIGNALLER)
    {
        return NGX_CONF_OK;
    }

    if (mcf->sizes.workers == 0) {
        mcf->sizes.workers = ngx_mesh_zone_workers(cycle);
    }

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_mesh_zone_cleanup;
    cln->data = mcf;

    zone = ngx_mesh_zone_get(cycle, mcf);
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->zone = zone;
    zone->cycles++;

    /* Without a master, a reload starts no process that could begin anew. */
    if (ngx_process == NGX_PROCESS_SINGLE
        && !ngx_is_init_cycle(cycle->old_cycle)
        && zone != ngx_mesh_worker.zone)
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"mesh_zone\" cannot be changed by a reload with "
                      "\"master_process off\"; restart nginx");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * The log of the configuration is open only now.  Failing here would end the
 * master, so nothing else is done.
 */
static ngx_int_t
ngx_mesh_core_init_module(ngx_cycle_t *cycle)
{
    ngx_mesh_core_conf_t  *mcf;

    mcf = (ngx_mesh_core_conf_t *) ngx_get_conf(cycle->conf_ctx,
                                                ngx_mesh_core_module);

    if (mcf->zone && mcf->zone->file.replaced) {
        mcf->zone->file.replaced = false;

        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                      "mesh_zone \"%V\": the runtime was of other sizes, "
                      "another layout or an earlier boot; "
                      "counters and ejections begin anew",
                      &mcf->zone->path);
    }

    /* Without a master, this process goes on with another configuration. */
    if (ngx_mesh_worker.zone) {
        ngx_mesh_worker.listeners = (mcf->zone == ngx_mesh_worker.zone)
                                    ? mcf->listeners : NULL;
        ngx_mesh_listeners_tell(&ngx_mesh_worker);
    }

    return NGX_OK;
}


/* --- processes ----------------------------------------------------------- */

static ngx_int_t
ngx_mesh_core_init_process(ngx_cycle_t *cycle)
{
    ngx_mesh_core_conf_t  *mcf;

    /* Cache processes run this as well. */
    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = (ngx_mesh_core_conf_t *) ngx_get_conf(cycle->conf_ctx,
                                                ngx_mesh_core_module);

    if (mcf->zone == NULL) {
        return NGX_OK;
    }

    return ngx_mesh_worker_start(cycle, mcf);
}


static void
ngx_mesh_core_exit_process(ngx_cycle_t *cycle)
{
    ngx_mesh_worker_stop();
    ngx_mesh_regex_exit();
}
