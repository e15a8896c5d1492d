/* Messages of the queue, as service/admin.h describes them in JSON, printed for people. */
#ifndef CLI_QUEUE_PRINT_H
#define CLI_QUEUE_PRINT_H

#include <jansson.h>
#include <stdint.h>

/* A few lines: id, age, size, sender; then each recipient with its state. */
void queue_print_message(const json_t *message, int64_t now_ms);
/* Everything that queue.show tells. */
void queue_print_details(const json_t *message, int64_t now_ms);
/* "3 messages for 5 recipients (2 deferred, 1 held), 34 KiB; the oldest came 2 h ago." */
void queue_print_summary(const json_t *summary, int64_t now_ms);

#endif
