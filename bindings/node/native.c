/* SPDX-License-Identifier: MPL-2.0 */
/* The functions of zlink.h for lib/index.js, as an addon of Node-API. All of it runs on the thread of the
 * JavaScript that calls it, except what ends a context; nothing waits but by libuv's poll of a socket's descriptor. */
#define NAPI_VERSION 8
#define _GNU_SOURCE
#include <node_api.h>
#include <stdbool.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <zlink.h>

enum
{
    most_arguments = 8,
    columns = 7, /* of a table of messages: peer, event, place, size, reason or text, close code, size of the
                  * header, which is in front of the body */
    longest_name = 65536
};

/* A context, which its sockets hold. */
typedef struct context_t
{
    void *handle; /* NULL: it has ended, or is ending */
    int sockets;  /* that are open */
    int refs;     /* its object, and each socket */
    bool closed;
    napi_deferred ended; /* NULL: nobody has closed it, or it has been told */
    napi_async_work work;
} context_t;

typedef struct wait_t
{
    uv_poll_t poll; /* first, so that it is the wait */
    struct socket_t *socket;
    napi_async_cleanup_hook_handle hook; /* a worker does not end before the poll is closed */
} wait_t;

typedef struct socket_t
{
    void *handle; /* NULL: closed */
    context_t *context;
    wait_t *wait; /* NULL: nobody has waited yet */
    napi_env env;
    napi_ref woken; /* the function to call; NULL: nobody waits */
} socket_t;

typedef struct batch_t
{
    int capacity, count;
    zlink_msg_t msgs[];
} batch_t;

/* ----------------------------------------------------------------- helpers */

/* Throws an error of the class that lib/index.js has given. Returns NULL, as the function that fails does. */
static napi_value fail_with (napi_env env, int code, const char *detail)
{
    napi_ref class_ref = NULL;
    napi_value arguments[4], made, class_of;
    const char *name = code == ETERM ? "ETERM" : code == EFSM ? "EFSM"
                                                              : strerrorname_np (code);
    napi_get_instance_data (env, (void **) &class_ref);
    napi_get_reference_value (env, class_ref, &class_of);
    napi_create_int32 (env, code, &arguments[0]);
    napi_create_string_utf8 (env, name ? name : "EUNKNOWN", NAPI_AUTO_LENGTH, &arguments[1]);
    napi_create_string_utf8 (env, zlink_strerror (code), NAPI_AUTO_LENGTH, &arguments[2]);
    napi_create_string_utf8 (env, detail, NAPI_AUTO_LENGTH, &arguments[3]);
    if (napi_new_instance (env, class_of, 4, arguments, &made) == napi_ok)
        napi_throw (env, made);
    return NULL;
}

static napi_value fail (napi_env env)
{
    int code = zlink_errno ();
    return fail_with (env, code, zlink_error_detail ());
}

/* What a function of C returned; below 0 it throws. */
static napi_value number (napi_env env, int result)
{
    napi_value value;
    if (result < 0)
        return fail (env);
    napi_create_int32 (env, result, &value);
    return value;
}

static void *external (napi_env env, napi_value value)
{
    void *data = NULL;
    napi_get_value_external (env, value, &data);
    return data;
}

/* The arguments of a call; those that are missing are undefined. Returns what the first one stands for: a context, a
 * socket, a batch or an event. */
static void *arguments (napi_env env, napi_callback_info info, napi_value *a)
{
    size_t count = most_arguments;
    napi_get_cb_info (env, info, &count, a, NULL, NULL);
    return external (env, a[0]);
}

static int int_of (napi_env env, napi_value value)
{
    int32_t number = 0;
    napi_get_value_int32 (env, value, &number);
    return number;
}

static uint32_t peer_of (napi_env env, napi_value value)
{
    uint32_t number = 0;
    napi_get_value_uint32 (env, value, &number);
    return number;
}

static bool is (napi_env env, napi_value value, napi_valuetype wanted)
{
    napi_valuetype type = napi_undefined;
    napi_typeof (env, value, &type);
    return type == wanted;
}

static void free_text (char **text)
{
    free (*text);
}

/* A variable that is freed at the end of its block. */
#define FREED __attribute__ ((cleanup (free_text))) char *

/* A string's bytes with a NUL, to be freed; NULL with *size 0: it is no string. */
static char *text_of (napi_env env, napi_value value, size_t *size)
{
    size_t length = 0;
    *size = 0;
    if (napi_get_value_string_utf8 (env, value, NULL, 0, &length) != napi_ok)
        return NULL;
    char *text = malloc (length + 1);
    if (text)
        napi_get_value_string_utf8 (env, value, text, length + 1, size);
    return text;
}

static const char *or_empty (const char *text)
{
    return text ? text : "";
}

static napi_value string (napi_env env, const char *text, size_t size)
{
    napi_value value;
    napi_create_string_utf8 (env, text, size, &value);
    return value;
}

static napi_value null (napi_env env)
{
    napi_value value;
    napi_get_null (env, &value);
    return value;
}

static bool flag_of (napi_env env, napi_value value)
{
    bool flag = false;
    napi_get_value_bool (env, value, &flag);
    return flag;
}

typedef struct bytes_t
{
    void *data;
    size_t size;
    char *copy; /* of a string, to be freed */
} bytes_t;

/* The bytes of a string or of a view of bytes. Throws. */
static bool bytes_of (napi_env env, napi_value value, const char *what, bytes_t *bytes)
{
    bool there = false;
    *bytes = (bytes_t) {0};
    if (is (env, value, napi_string)) {
        bytes->data = bytes->copy = text_of (env, value, &bytes->size);
        there = bytes->copy != NULL;
    } else {
        napi_is_buffer (env, value, &there); /* any view of bytes */
        there = there && napi_get_buffer_info (env, value, &bytes->data, &bytes->size) == napi_ok;
    }
    if (!there)
        napi_throw_type_error (env, NULL, what);
    return there;
}

/* Makes an initialised message one of a size. Throws. */
static bool resize (napi_env env, zlink_msg_t *msg, size_t size)
{
    if (zlink_msg_init_size (msg, size) == 0)
        return true;
    fail (env);
    zlink_msg_init (msg);
    return false;
}

static bool set_header (napi_env env, zlink_msg_t *msg, napi_value header)
{
    bytes_t bytes;
    if (!bytes_of (env, header, "a header is a string, a Buffer or a Uint8Array", &bytes))
        return false;
    bool set = zlink_msg_set_header (msg, bytes.size > 0 ? bytes.data : "", bytes.size) == 0;
    if (!set)
        fail (env);
    free (bytes.copy);
    return set;
}

/* An initialised message with a copy of a body, its peer, 0: for nobody yet, and a header, if it is not undefined.
 * Throws. */
static bool fill (napi_env env, zlink_msg_t *msg, uint32_t peer, napi_value body, bool text, napi_value header)
{
    bytes_t bytes;
    if (!bytes_of (env, body, "a body is a string, a Buffer or a Uint8Array", &bytes))
        return false;
    bool made = resize (env, msg, bytes.size);
    if (made && bytes.size > 0)
        memcpy (zlink_msg_data (msg), bytes.data, bytes.size);
    free (bytes.copy);
    if (!made)
        return false;
    if (peer != 0)
        zlink_msg_set_routing_id (msg, peer);
    if (text)
        zlink_msg_set (msg, ZLINK_STREAM_TEXT, 1);
    return is (env, header, napi_undefined) || set_header (env, msg, header);
}

/* ---------------------------------------------------------------- contexts */

static void drop_context (context_t *context)
{
    if (--context->refs == 0)
        free (context);
}

static void *end_handle (void *handle)
{
    while (zlink_ctx_term (handle) != 0 && zlink_errno () == EINTR) {
    }
    return NULL;
}

/* A forgotten context ends on a thread of its own, because that waits for its sockets. */
static void free_context (napi_env env, void *data, void *hint)
{
    (void) env;
    (void) hint;
    context_t *context = data;
    pthread_t thread;
    if (context->handle && !context->closed) {
        zlink_ctx_shutdown (context->handle);
        if (pthread_create (&thread, NULL, end_handle, context->handle) == 0)
            pthread_detach (thread);
    }
    drop_context (context);
}

static napi_value context_new (napi_env env, napi_callback_info info)
{
    (void) info;
    napi_value value;
    void *handle = zlink_ctx_new ();
    if (!handle)
        return fail (env);
    context_t *context = calloc (1, sizeof *context);
    if (!context) {
        zlink_ctx_term (handle);
        return fail_with (env, ENOMEM, "");
    }
    context->handle = handle;
    context->refs = 1;
    napi_create_external (env, context, free_context, NULL, &value);
    return value;
}

static napi_value context_set (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    context_t *context = arguments (env, info, a);
    return number (env, zlink_ctx_set (context->handle, int_of (env, a[1]), int_of (env, a[2])));
}

static napi_value context_get (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    context_t *context = arguments (env, info, a);
    napi_value result;
    errno = 0; /* -1 is also the value of an option that nobody has set */
    int value = zlink_ctx_get (context->handle, int_of (env, a[1]));
    if (value < 0 && errno != 0)
        return fail (env);
    napi_create_int32 (env, value, &result);
    return result;
}

static napi_value context_set_admin (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    size_t size;
    context_t *context = arguments (env, info, a);
    char *path = text_of (env, a[1], &size);
    napi_value result = number (env, zlink_ctx_set_admin (context->handle, path));
    free (path);
    return result;
}

static napi_value context_shutdown (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    context_t *context = arguments (env, info, a);
    return number (env, zlink_ctx_shutdown (context->handle));
}

static void end_context (napi_env env, void *data)
{
    (void) env;
    context_t *context = data;
    end_handle (context->handle);
}

static void context_ended (napi_env env, napi_status status, void *data)
{
    (void) status;
    napi_value nothing;
    context_t *context = data;
    context->handle = NULL;
    napi_delete_async_work (env, context->work);
    napi_get_undefined (env, &nothing);
    napi_resolve_deferred (env, context->ended, nothing);
    context->ended = NULL;
    drop_context (context);
}

/* The last of its sockets is closed, and it is, too: ends it on another thread. */
static void end_if_last (napi_env env, context_t *context)
{
    if (!context->closed || context->sockets > 0 || !context->ended || context->work)
        return;
    context->refs++;
    napi_create_async_work (env, NULL, string (env, "zlink_ctx_term", NAPI_AUTO_LENGTH),
                            end_context, context_ended, context, &context->work);
    napi_queue_async_work (env, context->work);
}

/* A promise of its end. */
static napi_value context_close (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments], promise;
    context_t *context = arguments (env, info, a);
    if (zlink_ctx_shutdown (context->handle) != 0)
        return fail (env);
    context->closed = true;
    napi_create_promise (env, &context->ended, &promise);
    end_if_last (env, context);
    return promise;
}

/* ----------------------------------------------------------------- sockets */

static void free_wait (uv_handle_t *handle)
{
    napi_remove_async_cleanup_hook (((wait_t *) handle)->hook);
    free (handle);
}

static void close_wait (wait_t *wait)
{
    if (wait->socket)
        wait->socket->wait = NULL;
    wait->socket = NULL;
    if (!uv_is_closing ((uv_handle_t *) &wait->poll))
        uv_close ((uv_handle_t *) &wait->poll, free_wait);
}

/* The process or the worker ends. */
static void clean_wait (napi_async_cleanup_hook_handle hook, void *wait)
{
    (void) hook;
    close_wait (wait);
}

static bool end_socket (napi_env env, socket_t *socket)
{
    void *handle = socket->handle;
    if (!handle)
        return false;
    socket->handle = NULL;
    if (socket->wait) /* before its descriptor is closed */
        close_wait (socket->wait);
    zlink_close (handle);
    socket->context->sockets--;
    end_if_last (env, socket->context);
    return true;
}

/* Calls whom the socket has kept waiting, if somebody is. */
static void wake (socket_t *socket)
{
    napi_handle_scope scope;
    napi_value woken, global, result;
    napi_ref ref = socket->woken;
    if (!ref)
        return;
    napi_env env = socket->env;
    socket->woken = NULL;
    napi_open_handle_scope (env, &scope);
    napi_get_reference_value (env, ref, &woken);
    napi_delete_reference (env, ref);
    napi_get_global (env, &global);
    napi_make_callback (env, NULL, global, woken, 0, NULL, &result);
    napi_close_handle_scope (env, scope);
}

static void free_socket (napi_env env, void *data, void *hint)
{
    (void) hint;
    socket_t *socket = data;
    end_socket (env, socket);
    if (socket->woken)
        napi_delete_reference (env, socket->woken);
    drop_context (socket->context);
    free (socket);
}

static napi_value socket_new (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments], value;
    int fast = ZLINK_STREAM_MODE_FAST;
    context_t *context = arguments (env, info, a);
    void *handle = zlink_socket (context->handle, ZLINK_STREAM);
    if (!handle)
        return fail (env);
    socket_t *socket = calloc (1, sizeof *socket);
    if (!socket) {
        zlink_close (handle);
        return fail_with (env, ENOMEM, "");
    }
    zlink_setsockopt (handle, ZLINK_STREAM_MODE, &fast, sizeof fast);
    socket->handle = handle;
    socket->context = context;
    socket->env = env;
    context->sockets++;
    context->refs++;
    napi_create_external (env, socket, free_socket, NULL, &value);
    return value;
}

/* Whether it was open; who waits is woken. */
static napi_value socket_close (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments], value;
    socket_t *socket = arguments (env, info, a);
    napi_get_boolean (env, end_socket (env, socket), &value);
    wake (socket);
    return value;
}

static napi_value set_int (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    socket_t *socket = arguments (env, info, a);
    int value = int_of (env, a[2]);
    return number (env, zlink_setsockopt (socket->handle, int_of (env, a[1]), &value, sizeof value));
}

static napi_value set_wide (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    int64_t value = 0;
    socket_t *socket = arguments (env, info, a);
    napi_get_value_int64 (env, a[2], &value);
    return number (env, zlink_setsockopt (socket->handle, int_of (env, a[1]), &value, sizeof value));
}

static napi_value set_text (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    size_t size;
    socket_t *socket = arguments (env, info, a);
    FREED text = text_of (env, a[2], &size);
    return number (env, zlink_setsockopt (socket->handle, int_of (env, a[1]), or_empty (text), size));
}

static napi_value get_number (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments], result;
    int64_t value = 0;
    socket_t *socket = arguments (env, info, a);
    size_t size = flag_of (env, a[2]) ? sizeof value : sizeof (int);
    if (zlink_getsockopt (socket->handle, int_of (env, a[1]), &value, &size) != 0)
        return fail (env);
    if (size == sizeof (int)) {
        int small;
        memcpy (&small, &value, sizeof small);
        value = small;
    }
    napi_create_int64 (env, value, &result);
    return result;
}

static napi_value get_text (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    size_t size = longest_name;
    socket_t *socket = arguments (env, info, a);
    FREED text = malloc (size);
    if (!text)
        return fail_with (env, ENOMEM, "");
    if (zlink_getsockopt (socket->handle, int_of (env, a[1]), text, &size) != 0)
        return fail (env);
    while (size > 0 && text[size - 1] == '\0')
        size--;
    return string (env, text, size);
}

/* endpoint (socket, which call, endpoint) */
static napi_value endpoint (napi_env env, napi_callback_info info)
{
    static int (*const calls[]) (void *, const char *) = {zlink_bind, zlink_connect, zlink_unbind, zlink_disconnect};
    napi_value a[most_arguments];
    size_t size;
    socket_t *socket = arguments (env, info, a);
    FREED text = text_of (env, a[2], &size);
    return number (env, calls[int_of (env, a[1]) & 3](socket->handle, or_empty (text)));
}

/* ----------------------------------------------------------------- waiting */

static void readable (uv_poll_t *poll, int status, int events)
{
    (void) status;
    (void) events;
    uv_poll_stop (poll);
    wake (((wait_t *) poll)->socket);
}

/* wait (socket, function): calls it once when there may be something to receive, or the socket is closed. */
static napi_value wait_for (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments], value;
    int fd, events;
    size_t size = sizeof fd;
    socket_t *socket = arguments (env, info, a);
    if (socket->woken)
        return fail_with (env, EBUSY, "somebody waits for this socket already");
    if (zlink_getsockopt (socket->handle, ZLINK_FD, &fd, &size) != 0)
        return fail (env);
    if (!socket->wait) {
        uv_loop_t *loop;
        wait_t *wait = calloc (1, sizeof *wait);
        napi_get_uv_event_loop (env, &loop);
        int error = wait ? uv_poll_init (loop, &wait->poll, fd) : UV_ENOMEM;
        if (error != 0) {
            free (wait);
            return fail_with (env, -error, "the event loop cannot watch the socket");
        }
        wait->socket = socket;
        socket->wait = wait;
        napi_add_async_cleanup_hook (env, clean_wait, wait, &wait->hook);
    }
    size = sizeof events; /* to be read before the descriptor is waited for */
    if (zlink_getsockopt (socket->handle, ZLINK_EVENTS, &events, &size) != 0)
        return fail (env);
    napi_get_boolean (env, (events & ZLINK_POLLIN) != 0, &value);
    if (events & ZLINK_POLLIN)
        return value; /* true: there is something now */
    napi_create_reference (env, a[1], 1, &socket->woken);
    uv_poll_start (&socket->wait->poll, UV_READABLE, readable);
    return value;
}

/* ----------------------------------------------------------------- batches */

static void free_batch (napi_env env, void *data, void *hint)
{
    (void) env;
    (void) hint;
    batch_t *batch = data;
    for (int i = 0; i < batch->capacity; i++)
        zlink_msg_close (&batch->msgs[i]);
    free (batch);
}

static napi_value batch_new (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments], value;
    arguments (env, info, a);
    int capacity = int_of (env, a[0]);
    batch_t *batch = malloc (sizeof *batch + (size_t) capacity * sizeof (zlink_msg_t));
    if (!batch)
        return fail_with (env, ENOMEM, "");
    batch->capacity = capacity;
    batch->count = 0;
    for (int i = 0; i < capacity; i++)
        zlink_msg_init (&batch->msgs[i]);
    napi_create_external (env, batch, free_batch, NULL, &value);
    return value;
}

/* batch_receive (socket, batch): how many came; 0: nothing is there. Never waits. */
static napi_value batch_receive (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    socket_t *socket = arguments (env, info, a);
    batch_t *batch = external (env, a[1]);
    batch->count = 0;
    int count = zlink_stream_recv_batch (socket->handle, batch->msgs, (size_t) batch->capacity, ZLINK_DONTWAIT);
    if (count < 0 && (zlink_errno () == EAGAIN || zlink_errno () == EINTR))
        count = 0;
    if (count > 0)
        batch->count = count;
    return number (env, count);
}

static bool is_event (zlink_msg_t *msg)
{
    return zlink_msg_size (msg) == 0 && zlink_msg_get (msg, ZLINK_STREAM_EVENT) != ZLINK_STREAM_DATA;
}

/* batch_send (socket, batch): sends the data in it; an array of index and errno of each that was not taken. */
static napi_value batch_send (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments], refused, value;
    uint32_t length = 0;
    socket_t *socket = arguments (env, info, a);
    batch_t *batch = external (env, a[1]);
    napi_create_array (env, &refused);
    for (int first = 0; first < batch->count;) {
        int end = first;
        while (end < batch->count && !is_event (&batch->msgs[end]))
            end++;
        if (end == first) {
            first++;
            continue;
        }
        int sent = zlink_stream_send_batch (socket->handle, &batch->msgs[first], (size_t) (end - first), ZLINK_DONTWAIT);
        int error = sent > 0 ? 0 : zlink_errno ();
        if (sent > 0)
            first += sent;
        else if (error == EAGAIN || error == EHOSTUNREACH) {
            napi_create_int32 (env, first++, &value);
            napi_set_element (env, refused, length++, value);
            napi_create_int32 (env, error, &value);
            napi_set_element (env, refused, length++, value);
        } else if (error != EINTR)
            return fail (env);
    }
    return refused;
}

static void free_kept (napi_env env, void *data, void *hint)
{
    (void) env;
    (void) hint;
    zlink_msg_close (data);
    free (data);
}

/* What a message takes of the bytes of a batch. */
static size_t bytes_in (const zlink_msg_t *msg)
{
    size_t header;
    zlink_msg_header (msg, &header);
    return header + zlink_msg_size (msg);
}

/* Stores header and body of a message, and in its row where, and their sizes. Returns what it took. */
static size_t store (zlink_msg_t *msg, char *bytes, size_t at, uint32_t *row)
{
    size_t header_size, size = zlink_msg_size (msg);
    const void *header = zlink_msg_header (msg, &header_size);
    if (header_size > 0)
        memcpy (bytes + at, header, header_size);
    if (size > 0)
        memcpy (bytes + at + header_size, zlink_msg_data (msg), size);
    row[2] = (uint32_t) (at + header_size);
    row[3] = (uint32_t) size;
    row[6] = (uint32_t) header_size;
    return header_size + size;
}

/* batch_read (batch): a table of what is in it, its headers and bodies behind each other, and what knows the
 * properties of the events. */
static napi_value batch_read (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments], array, memory, table, bodies, kept, value;
    uint32_t *row;
    char *bytes;
    size_t total = 0;
    batch_t *batch = arguments (env, info, a);
    size_t count = (size_t) batch->count;
    for (size_t i = 0; i < count; i++)
        total += bytes_in (&batch->msgs[i]);
    if (napi_create_buffer (env, total, (void **) &bytes, &bodies) != napi_ok || total > UINT32_MAX)
        return fail_with (env, ENOMEM, "the bodies of a batch");
    napi_create_arraybuffer (env, count * columns * sizeof *row, (void **) &row, &memory);
    napi_create_typedarray (env, napi_uint32_array, count * columns, memory, 0, &table);
    napi_create_array (env, &kept);
    total = 0;
    for (size_t i = 0; i < count; i++, row += columns) {
        zlink_msg_t *msg = &batch->msgs[i];
        total += store (msg, bytes, total, row);
        row[0] = zlink_msg_routing_id (msg);
        row[1] = row[3] > 0 ? ZLINK_STREAM_DATA : (uint32_t) zlink_msg_get (msg, ZLINK_STREAM_EVENT);
        if (row[1] == ZLINK_STREAM_DATA) {
            row[4] = (uint32_t) zlink_msg_get (msg, ZLINK_STREAM_TEXT);
            continue;
        }
        row[4] = (uint32_t) zlink_msg_get (msg, ZLINK_STREAM_REASON);
        row[5] = (uint32_t) zlink_msg_get (msg, ZLINK_STREAM_CLOSE_CODE);
        zlink_msg_t *event = malloc (sizeof *event);
        if (!event)
            continue; /* it has no properties then */
        zlink_msg_init (event);
        zlink_msg_move (event, msg);
        napi_create_external (env, event, free_kept, NULL, &value);
        napi_set_element (env, kept, (uint32_t) i, value);
    }
    for (int i = 0; i < batch->count; i++) { /* the read buffers go back */
        zlink_msg_close (&batch->msgs[i]);
        zlink_msg_init (&batch->msgs[i]);
    }
    batch->count = 0;
    napi_create_array (env, &array);
    napi_set_element (env, array, 0, table);
    napi_set_element (env, array, 1, bodies);
    napi_set_element (env, array, 2, kept);
    return array;
}

static napi_value batch_peer (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments], value;
    batch_t *batch = arguments (env, info, a);
    int index = int_of (env, a[1]);
    if (index < 0 || index >= batch->count)
        return fail_with (env, EINVAL, "the batch has not so many messages");
    napi_create_uint32 (env, zlink_msg_routing_id (&batch->msgs[index]), &value);
    return value;
}

/* property (event, name): a string or null. */
static napi_value property (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    size_t size;
    zlink_msg_t *event = arguments (env, info, a);
    FREED name = text_of (env, a[1], &size);
    const char *text = event ? zlink_msg_gets (event, or_empty (name)) : NULL;
    return text ? string (env, text, NAPI_AUTO_LENGTH) : null (env);
}

/* -------------------------------------------------------------------- send */

static bool key_of (napi_env env, napi_value value, uint64_t *key)
{
    bool lossless;
    return napi_get_value_bigint_uint64 (env, value, key, &lossless) == napi_ok;
}

/* send (socket, peer, body, text, key, header): never waits. The socket null: to a peer of any one, without a key. */
static napi_value send_one (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    uint64_t key;
    zlink_msg_t msg;
    int sent;
    socket_t *socket = arguments (env, info, a);
    zlink_msg_init (&msg);
    if (!fill (env, &msg, peer_of (env, a[1]), a[2], flag_of (env, a[3]), a[5])) {
        zlink_msg_close (&msg);
        return NULL;
    }
    bool with_key = key_of (env, a[4], &key);
    do
        sent = !socket    ? zlink_stream_send_any (&msg, ZLINK_DONTWAIT)
               : with_key ? zlink_stream_send_key (socket->handle, &msg, key, 0)
                          : zlink_msg_send (&msg, socket->handle, ZLINK_DONTWAIT);
    while (sent < 0 && zlink_errno () == EINTR);
    napi_value result = number (env, sent);
    zlink_msg_close (&msg);
    return result;
}

/* publish (socket, group, body, text, key, header, except): how many took it. */
static napi_value publish (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments], result = NULL;
    uint64_t key;
    size_t size;
    zlink_msg_t msg;
    socket_t *socket = arguments (env, info, a);
    uint32_t except = peer_of (env, a[6]);
    int flags = except ? ZLINK_STREAM_EXCEPT : 0;
    FREED group = text_of (env, a[1], &size);
    const char *name = or_empty (group);
    zlink_msg_init (&msg);
    if (fill (env, &msg, except, a[2], flag_of (env, a[3]), a[5]))
        result = number (env, key_of (env, a[4], &key) ? zlink_stream_publish_key (socket->handle, name, &msg, key, flags)
                                                       : zlink_stream_publish (socket->handle, name, &msg, flags));
    zlink_msg_close (&msg);
    return result;
}

/* multicast (socket, ids in a Uint32Array, body, text, errors in an Int32Array as long, header): how many took it. */
static napi_value multicast (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments], result = NULL;
    zlink_msg_t msg;
    void *ids, *errors;
    size_t count;
    socket_t *socket = arguments (env, info, a);
    napi_get_typedarray_info (env, a[1], NULL, &count, &ids, NULL, NULL);
    napi_get_typedarray_info (env, a[4], NULL, NULL, &errors, NULL, NULL);
    zlink_msg_init (&msg);
    if (fill (env, &msg, 0, a[2], flag_of (env, a[3]), a[5]))
        result = number (env, zlink_stream_multicast (socket->handle, ids, count, &msg, 0, errors));
    zlink_msg_close (&msg);
    return result;
}

/* ------------------------------------------------------------------- peers */

/* member (socket, peer, group, whether it joins) */
static napi_value member (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    size_t size;
    socket_t *socket = arguments (env, info, a);
    FREED group = text_of (env, a[2], &size);
    int (*call) (void *, uint32_t, const char *) = flag_of (env, a[3]) ? zlink_stream_join : zlink_stream_leave;
    return number (env, call (socket->handle, peer_of (env, a[1]), or_empty (group)));
}

/* end_peer (socket, peer, how): 0 closes it, 1 aborts it. */
static napi_value end_peer (napi_env env, napi_callback_info info)
{
    static int (*const calls[]) (void *, uint32_t) = {zlink_stream_close_peer, zlink_stream_abort_peer};
    napi_value a[most_arguments];
    socket_t *socket = arguments (env, info, a);
    return number (env, calls[int_of (env, a[2]) & 1](socket->handle, peer_of (env, a[1])));
}

/* accept_peer (socket, peer, subprotocol or undefined) */
static napi_value accept_peer (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    size_t size;
    socket_t *socket = arguments (env, info, a);
    uint32_t peer = peer_of (env, a[1]);
    FREED protocol = text_of (env, a[2], &size);
    if (!protocol && !is (env, a[2], napi_undefined)) {
        napi_throw_type_error (env, NULL, "a subprotocol is a string");
        return NULL;
    }
    return number (env, protocol ? zlink_stream_accept_peer_with (socket->handle, peer, protocol)
                                 : zlink_stream_accept_peer (socket->handle, peer));
}

/* tell_peer (socket, peer, code or status, text or null, whether it is refused) */
static napi_value tell_peer (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    size_t size;
    socket_t *socket = arguments (env, info, a);
    FREED text = text_of (env, a[3], &size);
    int (*call) (void *, uint32_t, int, const char *) =
      flag_of (env, a[4]) ? zlink_stream_refuse_peer : zlink_stream_close_peer_with;
    return number (env, call (socket->handle, peer_of (env, a[1]), int_of (env, a[2]), text));
}

static napi_value peer_property (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    size_t size;
    socket_t *socket = arguments (env, info, a);
    uint32_t peer = peer_of (env, a[1]);
    FREED name = text_of (env, a[2], &size);
    FREED text = malloc (longest_name);
    if (!text)
        return fail_with (env, ENOMEM, "");
    int length = zlink_stream_peer_gets (socket->handle, peer, or_empty (name), text, longest_name);
    if (length >= 0)
        return string (env, text, (size_t) length);
    return zlink_errno () == EINVAL && peer != 0 ? null (env) : fail (env);
}

static napi_value drain (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    socket_t *socket = arguments (env, info, a);
    return number (env, zlink_stream_drain (socket->handle, int_of (env, a[1]), int_of (env, a[2])));
}

/* The counters in the order of the struct, without its size. */
static napi_value stats (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments], array, value;
    zlink_stream_stats_t all = {.size = sizeof all};
    socket_t *socket = arguments (env, info, a);
    if (zlink_stream_stats (socket->handle, &all) != 0)
        return fail (env);
    const uint64_t *counters = &all.connections;
    napi_create_array (env, &array);
    for (uint32_t i = 0; i < (sizeof all - sizeof all.size) / sizeof *counters; i++) {
        napi_create_int64 (env, (int64_t) counters[i], &value);
        napi_set_element (env, array, i, value);
    }
    return array;
}

static napi_value version (napi_env env, napi_callback_info info)
{
    (void) info;
    char text[32];
    int major, minor, patch;
    zlink_version (&major, &minor, &patch);
    snprintf (text, sizeof text, "%d.%d.%d", major, minor, patch);
    return string (env, text, NAPI_AUTO_LENGTH);
}

/* ----------------------------------------------------------------- the log */

enum
{
    lines_waiting = 64 /* for the loop */
};

/* Lines go from a thread of the library to the loop of who asked for them. */
typedef struct log_t
{
    napi_threadsafe_function lines; /* frees this at its end */
    atomic_bool over; /* another has its place */
    atomic_int left_out; /* lines, because the loop did not come to take any */
} log_t;

typedef struct line_t
{
    int level, left_out;
    char text[];
} line_t;

/* The log of the process is one: what C has, of any worker. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static log_t *log_now;

static void log_line (int level, const char *text, void *data)
{
    log_t *log = data;
    const size_t size = strlen (text) + 1;
    const int left_out = atomic_exchange (&log->left_out, 0);
    line_t *line = malloc (sizeof *line + size);
    if (line) {
        line->level = level;
        line->left_out = left_out;
        memcpy (line->text, text, size);
        if (napi_call_threadsafe_function (log->lines, line, napi_tsfn_nonblocking) == napi_ok)
            return;
    }
    free (line);
    atomic_fetch_add (&log->left_out, left_out + 1);
}

/* On the loop; without an env it has ended. */
static void tell_line (napi_env env, napi_value call, void *data, void *line_data)
{
    log_t *log = data;
    line_t *line = line_data;
    if (env && !atomic_load (&log->over)) {
        napi_value a[3], nothing;
        napi_get_undefined (env, &nothing);
        napi_create_int32 (env, line->level, &a[0]);
        a[1] = string (env, line->text, NAPI_AUTO_LENGTH);
        napi_create_int32 (env, line->left_out, &a[2]);
        napi_call_function (env, nothing, call, 3, a, NULL);
    }
    free (line);
}

/* The loop of who asked for lines ends. */
static void end_log (void *data)
{
    pthread_mutex_lock (&log_lock);
    if (log_now == data) {
        zlink_set_log (NULL, ZLINK_LOG_NONE, NULL);
        log_now = NULL;
    }
    pthread_mutex_unlock (&log_lock);
}

static void free_log (napi_env env, void *data, void *hint)
{
    (void) hint;
    napi_remove_env_cleanup_hook (env, end_log, data);
    free (data);
}

/* set_log (level, function of a level, a line and how many were left out before it, or null) */
static napi_value set_log (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    arguments (env, info, a);
    log_t *log = NULL;
    if (is (env, a[1], napi_function)) {
        if (!(log = calloc (1, sizeof *log)))
            return fail_with (env, ENOMEM, "");
        if (napi_create_threadsafe_function (env, a[1], NULL, string (env, "zlink log", NAPI_AUTO_LENGTH), lines_waiting, 1,
                                             log, free_log, log, tell_line, &log->lines)
            != napi_ok) {
            free (log);
            return fail_with (env, ENOMEM, "");
        }
        napi_unref_threadsafe_function (env, log->lines);
        napi_add_env_cleanup_hook (env, end_log, log);
    }
    pthread_mutex_lock (&log_lock);
    int rc = zlink_set_log (log ? log_line : NULL, int_of (env, a[0]), log);
    log_t *ended = log; /* if that failed; nothing changed then */
    napi_value value = rc == 0 ? NULL : fail (env);
    if (rc == 0) {
        ended = log_now;
        log_now = log;
    }
    if (ended) {
        atomic_store (&ended->over, true);
        napi_release_threadsafe_function (ended->lines, napi_tsfn_release);
    }
    pthread_mutex_unlock (&log_lock);
    return value;
}

/* error_class (class): what is thrown from now on. */
static napi_value error_class (napi_env env, napi_callback_info info)
{
    napi_value a[most_arguments];
    napi_ref class_ref;
    arguments (env, info, a);
    napi_create_reference (env, a[0], 1, &class_ref);
    napi_set_instance_data (env, class_ref, NULL, NULL);
    return NULL;
}

NAPI_MODULE_INIT ()
{
    static const struct
    {
        const char *name;
        napi_callback call;
    } functions[] = {
      {"errorClass", error_class},
      {"version", version},
      {"contextNew", context_new},
      {"contextSet", context_set},
      {"contextGet", context_get},
      {"contextSetAdmin", context_set_admin},
      {"contextShutdown", context_shutdown},
      {"contextClose", context_close},
      {"socketNew", socket_new},
      {"socketClose", socket_close},
      {"setInt", set_int},
      {"setWide", set_wide},
      {"setText", set_text},
      {"getNumber", get_number},
      {"getText", get_text},
      {"endpoint", endpoint},
      {"wait", wait_for},
      {"batchNew", batch_new},
      {"batchReceive", batch_receive},
      {"batchSend", batch_send},
      {"batchRead", batch_read},
      {"batchPeer", batch_peer},
      {"property", property},
      {"send", send_one},
      {"publish", publish},
      {"multicast", multicast},
      {"member", member},
      {"endPeer", end_peer},
      {"acceptPeer", accept_peer},
      {"tellPeer", tell_peer},
      {"peerProperty", peer_property},
      {"drain", drain},
      {"stats", stats},
      {"setLog", set_log},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        napi_value function;
        napi_create_function (env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &function);
        napi_set_named_property (env, exports, functions[i].name, function);
    }
    return exports;
}
