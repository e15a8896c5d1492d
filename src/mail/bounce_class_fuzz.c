/*
 * Laws of bounce_classify: any bytes have a class with a name that leads back to it; letter case does not matter; only a permanent
 * failure is hard.
 */
#include "mail/bounce_class.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bounce_reply reply = bounce_reply_from(view_of(data, size));
	struct bounce_verdict verdict = bounce_classify(&reply);
	enum bounce_class again;
	ASSERT(bounce_class_parse(bounce_class_name(verdict.class), &again) && again == verdict.class);
	ASSERT(!verdict.is_hard || reply.code >= 500 || (reply.code == 0 && reply.class == 5));
	ASSERT(reply.code == 0 || (reply.code >= 200 && reply.code <= 599));
	ASSERT(reply.subject <= 999 && reply.detail <= 999 && reply.class <= 5);
	uint8_t *upper = size > 0 ? malloc(size) : NULL;
	for (size_t i = 0; upper != NULL && i < size; i++)
		upper[i] = data[i] >= 'a' && data[i] <= 'z' ? (uint8_t)(data[i] - 'a' + 'A') : data[i];
	struct bounce_reply shouted = bounce_reply_from(view_of(upper, upper != NULL ? size : 0));
	ASSERT(upper == NULL || bounce_classify(&shouted).class == verdict.class);
	free(upper);
	return 0;
}
