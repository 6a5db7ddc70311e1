/** What a span says of an error: its kind. Messages may quote what was sent, or a row. */
import { ActivityFailure, ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';

/** The type of a Temporal failure, of the cause where an activity failed; the SQLSTATE of PostgreSQL; or the name of the class. */
export function errorTypeOf(error: unknown): string {
  const failure = error instanceof ActivityFailure ? error.cause : error;
  if (failure instanceof ApplicationFailure && failure.type) return failure.type;
  if (!(failure instanceof Error)) return typeof failure;
  const { code } = failure as { readonly code?: unknown };
  return typeof code === 'string' && SQLSTATE.test(code) ? code : failure.name;
}

const SQLSTATE = /^[0-9A-Z]{5}$/;

/** An answer of the protocols or of the business, and no fault. */
export const isExpected = (error: unknown): boolean =>
  error instanceof ApplicationFailure && error.category === ApplicationFailureCategory.BENIGN;
