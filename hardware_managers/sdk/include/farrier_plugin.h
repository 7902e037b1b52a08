/*
 * A hardware manager of farrier as a shared library, for C and C++.
 *
 * The library exports one object, farrier_plugin. farrier-plugin-host loads the library into a
 * process of its own, reads the object, and calls its functions for the agent. What the methods are
 * called, and what goes into them and comes out, is docs/plugin-protocol.md; this header only says
 * how it passes between host and library. In Rust, export_hardware_manager! of the crate
 * farrier-plugin does all of it.
 *
 * Texts are UTF-8 and hold one JSON value each, except `method`, which is the bare name. JSON has no
 * byte 0 (inside a string it is \u0000); a text of the host is followed by one, which `length` does
 * not count, a text of the library need not be.
 *
 * No exception and no longjmp may leave a function of the library: the process would end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FARRIER_PLUGIN_H
#define FARRIER_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The version of this interface. Within a version nothing changes but that members are added at the
 * end of a structure, which its `size` shows. The host loads libraries of its own version only.
 */
#define FARRIER_PLUGIN_ABI 1u

/* What a function returns: it did what it was asked, or *answer says why not. */
#define FARRIER_OK 0
#define FARRIER_FAILED 1

/*
 * A failure is the object that the protocol calls `error`:
 *
 *     {"code": -32000, "message": "/dev/sda is frozen", "data": {"type": "CleaningError"}}
 */
#define FARRIER_METHOD_NOT_FOUND (-32601) /* declines: the next manager is asked */
#define FARRIER_INVALID_PARAMS (-32602)
#define FARRIER_INTERNAL_ERROR (-32603)
#define FARRIER_METHOD_FAILED (-32000) /* data.type is the class of the error */

/* A text and its length in bytes. `data` may be NULL where `length` is 0. */
struct farrier_text {
    const char *data;
    size_t length;
};

/*
 * The agent, during one call: valid until that call returns, for every thread of the library. The
 * host makes it.
 */
struct farrier_agent {
    /* sizeof(struct farrier_agent) where the host was made; what lies behind that is not there. */
    size_t size;

    /* The host's own. */
    const void *call;

    /*
     * Ask the agent (list_block_devices, run_program) and wait. `params` is a JSON object without
     * the member "call", which the host adds, or empty. With FARRIER_OK *answer is the result, with
     * FARRIER_FAILED the failure; either is handed back with `release`.
     */
    int32_t (*request)(const struct farrier_agent *agent, struct farrier_text method,
                       struct farrier_text params, struct farrier_text *answer);

    /* Tell the agent something (progress, log), and do not wait. */
    void (*notify)(const struct farrier_agent *agent, struct farrier_text method,
                   struct farrier_text params);

    /* 1 once the agent has cancelled this call, else 0. Costs nothing: ask it every second. */
    int32_t (*is_cancelled)(const struct farrier_agent *agent);

    /* Hand back an answer of `request`, once. */
    void (*release)(struct farrier_text answer);
};

/* What a library exports under the name farrier_plugin. */
struct farrier_plugin {
    /* FARRIER_PLUGIN_ABI. Is read before anything else; the first member in every version. */
    uint32_t abi_version;

    /* sizeof(struct farrier_plugin) where the library was made. */
    uint32_t size;

    /*
     * Who the manager is: the result of the protocol's `handshake` without `protocol`. Called once,
     * before everything else.
     *
     *     {"class_name": "FlashCardHardwareManager", "name": "flash_card", "version": "1.4",
     *      "methods": ["evaluate_hardware_support", "get_clean_steps", "execute_step"],
     *      "capabilities": {"concurrent_calls": 1}}
     *
     * With FARRIER_FAILED *answer is a failure, and the plugin is not used. *answer is {NULL, 0} at
     * first.
     */
    int32_t (*introduce)(struct farrier_text *answer);

    /*
     * Run a method that the introduction names, with the protocol's parameters, a JSON object. With
     * FARRIER_OK *answer is the result (empty stands for null), with FARRIER_FAILED the failure.
     * *answer is {NULL, 0} at first.
     *
     * Each call comes on a thread of its own with 8 MiB of stack, which ends with it: nothing stays
     * in thread-local variables for the next. Calls come one after the other, or, where the introduction allows
     * more `concurrent_calls` than 1, that many at once.
     *
     * `agent`, `method` and `params` are the host's, and valid until the function returns.
     */
    int32_t (*call)(const struct farrier_agent *agent, struct farrier_text method,
                    struct farrier_text params, struct farrier_text *answer);

    /*
     * Take back an answer of `introduce` or `call`, as it was given, once the host has copied it:
     * once for each whose data is not NULL. May do nothing where answers are constant.
     */
    void (*release)(struct farrier_text answer);
};

/*
 * What the library defines, in C and in C++; it is exported also with -fvisibility=hidden:
 *
 *     const struct farrier_plugin farrier_plugin = {
 *         FARRIER_PLUGIN_ABI, sizeof(struct farrier_plugin), introduce, call, release};
 */
extern __attribute__((visibility("default"))) const struct farrier_plugin farrier_plugin;

#ifdef __cplusplus
}
#endif

#endif
