/*
 * A hardware manager to copy, in C (and C++): one clean step that tells how far it is and can be
 * cancelled.
 *
 *     cc -shared -fPIC -I ../sdk/include -o example.so example.c
 *     farrier plugins test example.so
 *
 * What the methods are called and what they get and give is docs/plugin-protocol.md. A real manager
 * reads its parameters with a JSON library; this one has strstr, so that it fits on a page.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "farrier_plugin.h"

#define PASSES 3

/* Answers are constants here, so there is nothing to release. */
static int32_t answered(int32_t status, struct farrier_text *answer, const char *json) {
    answer->data = json;
    answer->length = strlen(json);
    return status;
}

static struct farrier_text text(const char *constant) {
    struct farrier_text text = {constant, strlen(constant)};
    return text;
}

static int32_t introduce(struct farrier_text *answer) {
    return answered(FARRIER_OK, answer,
                    "{\"class_name\": \"CExampleHardwareManager\", \"name\": \"c_example\","
                    " \"version\": \"1.0\", \"methods\": [\"evaluate_hardware_support\","
                    " \"get_clean_steps\", \"execute_step\"]}");
}

static int32_t polish(const struct farrier_agent *agent, struct farrier_text *answer) {
    const struct timespec pause = {0, 100000000};
    char progress[80];
    int pass;

    for (pass = 0; pass < PASSES; pass++) {
        if (agent->is_cancelled(agent))
            return answered(FARRIER_FAILED, answer,
                            "{\"code\": -32000, \"message\": \"c_polish was cancelled\","
                            " \"data\": {\"type\": \"CleaningError\"}}");
        snprintf(progress, sizeof progress,
                 "{\"what\": \"polishing\", \"done\": %d, \"total\": %d}", pass, PASSES);
        agent->notify(agent, text("progress"), text(progress));
        nanosleep(&pause, NULL);
    }
    return answered(FARRIER_OK, answer, "{\"polished\": true}");
}

static int32_t call(const struct farrier_agent *agent, struct farrier_text method,
                    struct farrier_text params, struct farrier_text *answer) {
    if (strcmp(method.data, "evaluate_hardware_support") == 0)
        return answered(FARRIER_OK, answer, "3"); /* 0 where its hardware is not there */
    if (strcmp(method.data, "get_clean_steps") == 0)
        return answered(FARRIER_OK, answer,
                        "[{\"step\": \"c_polish\", \"priority\": 0, \"interface\": \"deploy\","
                        " \"reboot_requested\": false, \"abortable\": true}]");
    if (strcmp(method.data, "execute_step") == 0 && strstr(params.data, "\"c_polish\"") != NULL)
        return polish(agent, answer);
    return answered(FARRIER_FAILED, answer, "{\"code\": -32601, \"message\": \"not mine\"}");
}

static void release(struct farrier_text answer) {
    (void)answer;
}

const struct farrier_plugin farrier_plugin = {FARRIER_PLUGIN_ABI, sizeof(struct farrier_plugin),
                                              introduce, call, release};
