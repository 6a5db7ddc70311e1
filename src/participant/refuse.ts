/** The one way for business code to say "no". */
import { show } from '../protocol';
import { RefusalError } from './errors';

const CODE = /^[a-z][a-z0-9-]{0,62}$/;

/**
 * Refuses the operation for a business reason. The local transaction is rolled back and the refusal is kept in the branch
 * log, so that it is final: no other attempt of this branch can take effect later.
 *
 * @param code for programs: 1 to 63 characters of a-z 0-9 -, for example `insufficient-funds`
 * @param message for people; no personal data, it is shown in the Web UI
 * @param details a small JSON value for the caller
 * @throws always {@link RefusalError}
 * @example if (rows.length === 0) refuse('unknown-account', `There is no account ${id}`);
 */
export function refuse(code: string, message: string, details?: unknown): never {
  if (!CODE.test(code))
    throw new TypeError(`Nothing was changed: the refusal code ${show(code)} is not 1 to 63 characters of a-z 0-9 -.`);
  throw new RefusalError({ code, message, ...(details === undefined ? {} : { details }) });
}
