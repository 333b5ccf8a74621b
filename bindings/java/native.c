/* SPDX-License-Identifier: MPL-2.0 */
/* The functions of zlink.h for Native.java. Handles are numbers; the library knows those that are closed. Texts are bytes
 * of UTF-8, because JNI's strings are not. */
#define _GNU_SOURCE
#include <jni.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlink.h>

#define NATIVE(result, name) JNIEXPORT result JNICALL Java_io_github_zlink_Native_##name
#define CALL JNIEnv *env, jclass class

enum
{
    longest_text = 65536
};

/* ----------------------------------------------------------------- helpers */

static void *pointer (jlong handle)
{
    return (void *) (uintptr_t) handle;
}

static jlong number (const void *handle)
{
    return (jlong) (uintptr_t) handle;
}

static jbyteArray bytes (JNIEnv *env, const void *data, size_t size)
{
    jbyteArray array = (*env)->NewByteArray (env, (jsize) size);
    if (array && size > 0)
        (*env)->SetByteArrayRegion (env, array, 0, (jsize) size, data);
    return array;
}

/* Throws what the calling thread's last call failed with. */
static void fail_with (JNIEnv *env, int code, const char *detail)
{
    jclass class = (*env)->FindClass (env, "io/github/zlink/ZlinkException");
    jmethodID of = class ? (*env)->GetStaticMethodID (env, class, "of", "(I[B[B)Lio/github/zlink/ZlinkException;") : NULL;
    jbyteArray says = bytes (env, detail, strlen (detail));
    const char *text = zlink_strerror (code);
    jbyteArray means = bytes (env, text, strlen (text));
    jobject exception = of && says && means ? (*env)->CallStaticObjectMethod (env, class, of, code, means, says) : NULL;
    if (exception && !(*env)->ExceptionCheck (env))
        (*env)->Throw (env, exception);
}

static void fail (JNIEnv *env)
{
    int code = zlink_errno ();
    fail_with (env, code, zlink_error_detail ());
}

/* What a function of C returned; below 0 it throws. */
static jint result (JNIEnv *env, int returned)
{
    if (returned < 0)
        fail (env);
    return returned;
}

static void free_text (char **text)
{
    free (*text);
}

/* A variable that is freed at the end of its block. */
#define FREED __attribute__ ((cleanup (free_text))) char *

/* A copy of an array's bytes with a NUL, to be freed; NULL: there is no array, or no memory for it, which is thrown. */
static char *text_of (JNIEnv *env, jbyteArray array)
{
    if (!array)
        return NULL;
    jsize size = (*env)->GetArrayLength (env, array);
    char *text = malloc ((size_t) size + 1);
    if (!text) {
        fail_with (env, ENOMEM, "");
        return NULL;
    }
    (*env)->GetByteArrayRegion (env, array, 0, size, (jbyte *) text);
    text[size] = '\0';
    return text;
}

/* ---------------------------------------------------------------- contexts */

NATIVE (jlong, contextNew) (CALL)
{
    (void) class;
    void *context = zlink_ctx_new ();
    if (!context)
        fail (env);
    return number (context);
}

NATIVE (void, contextSet) (CALL, jlong context, jint option, jint value)
{
    (void) class;
    result (env, zlink_ctx_set (pointer (context), option, value));
}

NATIVE (jint, contextGet) (CALL, jlong context, jint option)
{
    (void) class;
    errno = 0; /* -1 is also the value of an option that nobody has set */
    int value = zlink_ctx_get (pointer (context), option);
    return value < 0 && errno == 0 ? value : result (env, value);
}

/* null ends it. */
NATIVE (void, contextSetAdmin) (CALL, jlong context, jbyteArray path)
{
    (void) class;
    FREED text = text_of (env, path);
    if (text || !path)
        result (env, zlink_ctx_set_admin (pointer (context), text));
}

NATIVE (void, contextShutdown) (CALL, jlong context)
{
    (void) class;
    result (env, zlink_ctx_shutdown (pointer (context)));
}

NATIVE (void, contextTerm) (CALL, jlong context)
{
    (void) class;
    int rc;
    do
        rc = zlink_ctx_term (pointer (context));
    while (rc != 0 && zlink_errno () == EINTR);
    result (env, rc);
}

/* ----------------------------------------------------------------- sockets */

NATIVE (jlong, socketNew) (CALL, jlong context)
{
    (void) class;
    int fast = ZLINK_STREAM_MODE_FAST;
    void *socket = zlink_socket (pointer (context), ZLINK_STREAM);
    if (!socket)
        fail (env);
    else
        zlink_setsockopt (socket, ZLINK_STREAM_MODE, &fast, sizeof fast);
    return number (socket);
}

NATIVE (void, socketClose) (CALL, jlong socket)
{
    (void) class;
    result (env, zlink_close (pointer (socket)));
}

NATIVE (void, setNumber) (CALL, jlong socket, jint option, jlong value, jboolean wide)
{
    (void) class;
    int small = (int) value;
    result (env, wide ? zlink_setsockopt (pointer (socket), option, &value, sizeof value)
                      : zlink_setsockopt (pointer (socket), option, &small, sizeof small));
}

NATIVE (void, setText) (CALL, jlong socket, jint option, jbyteArray value)
{
    (void) class;
    FREED text = text_of (env, value);
    if (text)
        result (env, zlink_setsockopt (pointer (socket), option, text, (size_t) (*env)->GetArrayLength (env, value)));
}

NATIVE (jlong, getNumber) (CALL, jlong socket, jint option, jboolean wide)
{
    (void) class;
    int64_t value = 0;
    int small = 0;
    size_t size = wide ? sizeof value : sizeof small;
    result (env, zlink_getsockopt (pointer (socket), option, wide ? (void *) &value : (void *) &small, &size));
    return wide ? value : small;
}

NATIVE (jbyteArray, getText) (CALL, jlong socket, jint option)
{
    (void) class;
    size_t size = longest_text;
    FREED text = malloc (size);
    if (!text)
        fail_with (env, ENOMEM, "");
    if (!text || result (env, zlink_getsockopt (pointer (socket), option, text, &size)) < 0)
        return NULL;
    while (size > 0 && text[size - 1] == '\0')
        size--;
    return bytes (env, text, size);
}

NATIVE (void, endpoint) (CALL, jlong socket, jint call, jbyteArray endpoint)
{
    static int (*const calls[]) (void *, const char *) = {zlink_bind, zlink_connect, zlink_unbind, zlink_disconnect};
    (void) class;
    FREED text = text_of (env, endpoint);
    if (text)
        result (env, calls[call & 3](pointer (socket), text));
}

/* ----------------------------------------------------------------- batches */

static zlink_msg_t *message (jlong batch, jint index)
{
    return (zlink_msg_t *) pointer (batch) + index;
}

NATIVE (jlong, batchNew) (CALL, jint capacity)
{
    (void) class;
    zlink_msg_t *batch = malloc ((size_t) capacity * sizeof *batch);
    if (!batch)
        fail_with (env, ENOMEM, "");
    for (jint i = 0; batch && i < capacity; i++)
        zlink_msg_init (&batch[i]);
    return number (batch);
}

NATIVE (void, batchClear) (CALL, jlong batch, jint count)
{
    (void) env;
    (void) class;
    for (jint i = 0; i < count; i++) {
        zlink_msg_close (message (batch, i));
        zlink_msg_init (message (batch, i));
    }
}

NATIVE (void, batchFree) (CALL, jlong batch, jint capacity)
{
    (void) env;
    (void) class;
    for (jint i = 0; i < capacity; i++)
        zlink_msg_close (message (batch, i));
    free (pointer (batch));
}

/* How many came; 0: nothing, in RCVTIMEO or with DONTWAIT. Signals are the JVM's, and no reason to stop. */
NATIVE (jint, batchReceive) (CALL, jlong socket, jlong batch, jint capacity, jboolean wait)
{
    (void) class;
    for (;;) {
        int count = zlink_stream_recv_batch (pointer (socket), message (batch, 0), (size_t) capacity,
                                             wait ? 0 : ZLINK_DONTWAIT);
        if (count > 0)
            return count;
        if (zlink_errno () == EAGAIN)
            return 0;
        if (zlink_errno () != EINTR)
            return result (env, -1);
    }
}

static bool is_event (zlink_msg_t *msg)
{
    return zlink_msg_size (msg) == 0 && zlink_msg_get (msg, ZLINK_STREAM_EVENT) != ZLINK_STREAM_DATA;
}

/* Sends what lies between events; index and errno of each that was not taken are put into refused, which has two places
 * for each message. Returns how many these are. */
NATIVE (jint, batchSend) (CALL, jlong socket, jlong batch, jint first, jint end, jboolean wait, jintArray refused)
{
    (void) class;
    jint count = 0;
    while (first < end) {
        jint last = first;
        while (last < end && !is_event (message (batch, last)))
            last++;
        if (last == first) {
            first++;
            continue;
        }
        int sent = zlink_stream_send_batch (pointer (socket), message (batch, first), (size_t) (last - first),
                                            wait ? 0 : ZLINK_DONTWAIT);
        int error = sent > 0 ? 0 : zlink_errno ();
        if (sent > 0)
            first += sent;
        else if (error == EAGAIN || error == EHOSTUNREACH) {
            const jint pair[] = {first++, error};
            (*env)->SetIntArrayRegion (env, refused, 2 * count++, 2, pair);
        } else if (error != EINTR)
            return result (env, -1);
    }
    return count;
}

NATIVE (jint, peer) (CALL, jlong batch, jint index)
{
    (void) env;
    (void) class;
    return (jint) zlink_msg_routing_id (message (batch, index));
}

NATIVE (void, setPeer) (CALL, jlong batch, jint index, jint peer)
{
    (void) class;
    result (env, zlink_msg_set_routing_id (message (batch, index), (uint32_t) peer));
}

NATIVE (jint, property) (CALL, jlong batch, jint index, jint property)
{
    (void) class;
    return result (env, zlink_msg_get (message (batch, index), property));
}

NATIVE (jbyteArray, text) (CALL, jlong batch, jint index, jbyteArray property)
{
    (void) class;
    FREED name = text_of (env, property);
    const char *text = name ? zlink_msg_gets (message (batch, index), name) : NULL;
    return text ? bytes (env, text, strlen (text)) : NULL;
}

NATIVE (jint, size) (CALL, jlong batch, jint index)
{
    (void) env;
    (void) class;
    return (jint) zlink_msg_size (message (batch, index));
}

NATIVE (jbyteArray, body) (CALL, jlong batch, jint index)
{
    (void) class;
    zlink_msg_t *msg = message (batch, index);
    return bytes (env, zlink_msg_data (msg), zlink_msg_size (msg));
}

/* The bytes themselves. */
NATIVE (jobject, view) (CALL, jlong batch, jint index)
{
    (void) class;
    zlink_msg_t *msg = message (batch, index);
    return (*env)->NewDirectByteBuffer (env, zlink_msg_data (msg), (jlong) zlink_msg_size (msg));
}

NATIVE (jbyteArray, header) (CALL, jlong batch, jint index)
{
    (void) class;
    size_t size;
    const void *header = zlink_msg_header (message (batch, index), &size);
    return bytes (env, header, size);
}

/* A copy of the header, or of none. Throws. */
static bool set_header (JNIEnv *env, zlink_msg_t *msg, jbyteArray header)
{
    FREED copy = text_of (env, header);
    return copy && result (env, zlink_msg_set_header (msg, copy, (size_t) (*env)->GetArrayLength (env, header))) == 0;
}

NATIVE (void, setHeader) (CALL, jlong batch, jint index, jbyteArray header)
{
    (void) class;
    set_header (env, message (batch, index), header);
}

/* Moves a message out of a batch, to be freed by batchFree (…, 1). */
NATIVE (jlong, keep) (CALL, jlong batch, jint index)
{
    (void) class;
    zlink_msg_t *kept = malloc (sizeof *kept);
    if (!kept)
        fail_with (env, ENOMEM, "");
    else {
        zlink_msg_init (kept);
        zlink_msg_move (kept, message (batch, index));
    }
    return number (kept);
}

/* -------------------------------------------------------------------- send */

/* Fills an initialised message: a copy of size bytes of the array, or of the direct buffer where there is one, from a
 * place on; its peer, 0: none yet. Throws. */
static bool fill (JNIEnv *env, zlink_msg_t *msg, uint32_t peer, jbyteArray array, jobject direct, jint at, jint size,
                  jboolean text, jbyteArray header)
{
    zlink_msg_close (msg);
    if (zlink_msg_init_size (msg, (size_t) size) != 0) {
        fail (env);
        zlink_msg_init (msg);
        return false;
    }
    if (direct)
        memcpy (zlink_msg_data (msg), (const char *) (*env)->GetDirectBufferAddress (env, direct) + at, (size_t) size);
    else
        (*env)->GetByteArrayRegion (env, array, at, size, zlink_msg_data (msg));
    if (peer != 0)
        zlink_msg_set_routing_id (msg, peer);
    if (text)
        zlink_msg_set (msg, ZLINK_STREAM_TEXT, 1);
    return !header || set_header (env, msg, header);
}

/* What Native.java calls a body. */
#define BODY jbyteArray array, jobject direct, jint at, jint size, jboolean text, jbyteArray header
#define BODY_GIVEN array, direct, at, size, text, header

NATIVE (void, add) (CALL, jlong batch, jint index, jint peer, BODY)
{
    (void) class;
    fill (env, message (batch, index), (uint32_t) peer, BODY_GIVEN);
}

/* 0, or EAGAIN. */
NATIVE (jint, send) (CALL, jlong socket, jint peer, BODY, jboolean keyed, jlong key, jboolean wait)
{
    (void) class;
    zlink_msg_t msg;
    int sent = -1, error = 0;
    zlink_msg_init (&msg);
    if (fill (env, &msg, (uint32_t) peer, BODY_GIVEN)) {
        do
            sent = keyed ? zlink_stream_send_key (pointer (socket), &msg, (uint64_t) key, 0)
                         : zlink_msg_send (&msg, pointer (socket), wait ? 0 : ZLINK_DONTWAIT);
        while (sent < 0 && zlink_errno () == EINTR);
        error = sent < 0 ? zlink_errno () : 0;
        if (error != 0 && error != EAGAIN)
            fail (env);
    }
    zlink_msg_close (&msg);
    return error;
}

/* The same to a peer of any socket of the process. */
NATIVE (jint, sendAny) (CALL, jint peer, BODY, jboolean wait)
{
    (void) class;
    zlink_msg_t msg;
    int sent = -1, error = 0;
    zlink_msg_init (&msg);
    if (fill (env, &msg, (uint32_t) peer, BODY_GIVEN)) {
        do
            sent = zlink_stream_send_any (&msg, wait ? 0 : ZLINK_DONTWAIT);
        while (sent < 0 && zlink_errno () == EINTR);
        error = sent < 0 ? zlink_errno () : 0;
        if (error != 0 && error != EAGAIN)
            fail (env);
    }
    zlink_msg_close (&msg);
    return error;
}

NATIVE (jint, publish) (CALL, jlong socket, jbyteArray group, jint except, BODY, jboolean keyed, jlong key)
{
    (void) class;
    zlink_msg_t msg;
    int taken = -1;
    const int flags = except ? ZLINK_STREAM_EXCEPT : 0;
    FREED name = text_of (env, group);
    zlink_msg_init (&msg);
    if (name && fill (env, &msg, (uint32_t) except, BODY_GIVEN))
        taken = result (env, keyed ? zlink_stream_publish_key (pointer (socket), name, &msg, (uint64_t) key, flags)
                                   : zlink_stream_publish (pointer (socket), name, &msg, flags));
    zlink_msg_close (&msg);
    return taken;
}

/* errors has as many places as peers. */
NATIVE (jint, multicast) (CALL, jlong socket, jintArray peers, jintArray errors, BODY)
{
    (void) class;
    zlink_msg_t msg;
    int taken = -1;
    zlink_msg_init (&msg);
    if (fill (env, &msg, 0, BODY_GIVEN)) {
        const size_t count = (size_t) (*env)->GetArrayLength (env, peers);
        jint *ids = (*env)->GetIntArrayElements (env, peers, NULL);
        jint *codes = ids ? (*env)->GetIntArrayElements (env, errors, NULL) : NULL;
        if (codes)
            taken = result (env, zlink_stream_multicast (pointer (socket), (uint32_t *) ids, count, &msg, 0, codes));
        if (codes)
            (*env)->ReleaseIntArrayElements (env, errors, codes, 0);
        if (ids)
            (*env)->ReleaseIntArrayElements (env, peers, ids, JNI_ABORT);
    }
    zlink_msg_close (&msg);
    return taken;
}

/* ------------------------------------------------------------------- peers */

NATIVE (void, member) (CALL, jlong socket, jint peer, jbyteArray group, jboolean joins)
{
    (void) class;
    FREED name = text_of (env, group);
    if (name)
        result (env, joins ? zlink_stream_join (pointer (socket), (uint32_t) peer, name)
                           : zlink_stream_leave (pointer (socket), (uint32_t) peer, name));
}

NATIVE (void, closePeer) (CALL, jlong socket, jint peer)
{
    (void) class;
    result (env, zlink_stream_close_peer (pointer (socket), (uint32_t) peer));
}

NATIVE (void, abortPeer) (CALL, jlong socket, jint peer)
{
    (void) class;
    result (env, zlink_stream_abort_peer (pointer (socket), (uint32_t) peer));
}

/* Tells a peer a code and a text, which may be null, and closes it, or refuses it. */
NATIVE (void, tellPeer) (CALL, jlong socket, jint peer, jint code, jbyteArray text, jboolean refused)
{
    (void) class;
    FREED says = text_of (env, text);
    if (says || !text)
        result (env, refused ? zlink_stream_refuse_peer (pointer (socket), (uint32_t) peer, code, says)
                             : zlink_stream_close_peer_with (pointer (socket), (uint32_t) peer, code, says));
}

/* With the protocol, or with that of WS_PROTOCOLS if it is null. */
NATIVE (void, acceptPeer) (CALL, jlong socket, jint peer, jbyteArray protocol)
{
    (void) class;
    FREED chosen = text_of (env, protocol);
    if (chosen)
        result (env, zlink_stream_accept_peer_with (pointer (socket), (uint32_t) peer, chosen));
    else if (!protocol)
        result (env, zlink_stream_accept_peer (pointer (socket), (uint32_t) peer));
}

/* null: the peer has no such property. */
NATIVE (jbyteArray, peerText) (CALL, jlong socket, jint peer, jbyteArray property)
{
    (void) class;
    FREED name = text_of (env, property);
    FREED text = name ? malloc (longest_text) : NULL;
    if (name && !text)
        fail_with (env, ENOMEM, "");
    if (!text)
        return NULL;
    int size = zlink_stream_peer_gets (pointer (socket), (uint32_t) peer, name, text, longest_text);
    if (size >= 0)
        return bytes (env, text, (size_t) size);
    if (zlink_errno () != EINVAL || peer == 0)
        fail (env);
    return NULL;
}

/* ----------------------------------------------------------------- the log */

static JavaVM *log_vm;
static jclass log_class;
static jmethodID log_method;
static jobject log_listener; /* what C has; Context.java has the lock */

/* The thread stays attached: it is the library's, and runs nothing else. */
static void log_line (int level, const char *line, void *listener)
{
    JNIEnv *env;
    JavaVMAttachArgs as = {.version = JNI_VERSION_1_8, .name = (char *) "zlink log"};
    if ((*log_vm)->GetEnv (log_vm, (void **) &env, JNI_VERSION_1_8) != JNI_OK
        && (*log_vm)->AttachCurrentThreadAsDaemon (log_vm, (void **) &env, &as) != JNI_OK)
        return; /* Java ends */
    jbyteArray text = bytes (env, line, strlen (line));
    if (text) {
        (*env)->CallStaticVoidMethod (env, log_class, log_method, listener, (jint) level, text);
        (*env)->DeleteLocalRef (env, text);
    }
    if ((*env)->ExceptionCheck (env)) { /* no memory, or thrown by a handler of what the listener threw */
        (*env)->ExceptionDescribe (env);
        (*env)->ExceptionClear (env);
    }
}

NATIVE (void, setLog) (CALL, jint level, jobject listener)
{
    if (!log_class) {
        (*env)->GetJavaVM (env, &log_vm);
        log_method = (*env)->GetStaticMethodID (env, class, "log", "(Lio/github/zlink/LogListener;I[B)V");
        log_class = log_method ? (*env)->NewGlobalRef (env, class) : NULL;
        if (!log_class)
            return;
    }
    jobject made = listener ? (*env)->NewGlobalRef (env, listener) : NULL, before = log_listener;
    if (listener && !made) {
        fail_with (env, ENOMEM, "");
        return;
    }
    if (result (env, zlink_set_log (made ? log_line : NULL, level, made)) == 0)
        log_listener = made;
    else
        before = made;
    if (before)
        (*env)->DeleteGlobalRef (env, before);
}

NATIVE (void, drain) (CALL, jlong socket, jint spread_ms, jint code)
{
    (void) class;
    result (env, zlink_stream_drain (pointer (socket), spread_ms, code));
}

/* The counters in the order of the struct, without its size. */
NATIVE (jlongArray, stats) (CALL, jlong socket)
{
    (void) class;
    zlink_stream_stats_t all = {.size = sizeof all};
    const jsize count = (jsize) ((sizeof all - sizeof all.size) / sizeof all.connections);
    if (result (env, zlink_stream_stats (pointer (socket), &all)) < 0)
        return NULL;
    jlongArray array = (*env)->NewLongArray (env, count);
    if (array)
        (*env)->SetLongArrayRegion (env, array, 0, count, (const jlong *) &all.connections);
    return array;
}

NATIVE (jint, version) (CALL)
{
    (void) env;
    (void) class;
    int major, minor, patch;
    zlink_version (&major, &minor, &patch);
    return ZLINK_MAKE_VERSION (major, minor, patch);
}
