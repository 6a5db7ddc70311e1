/** Which refusals of Temporal no further attempt will change. */
import { isGrpcServiceError } from '@temporalio/client';

import { UnpublishableEventError } from '../errors';

/** gRPC's code for a request that is wrong by itself: a payload or an id that is too large. */
const INVALID_ARGUMENT = 3;

/** The error to throw on. The client wraps what the server answered, so the causes are looked at too. */
export function permanently(error: unknown): unknown {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (isGrpcServiceError(cause) && (cause.code as number) === INVALID_ARGUMENT)
      return new UnpublishableEventError(`Temporal refused it: ${cause.details}`);
  }
  return error;
}
