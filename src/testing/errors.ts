/**
 * The errors of the testing room. Each message says first what was left as it was, then what was wrong, then the remedy.
 * None of them carries a password.
 */

import { show } from '../protocol';

/** One place that was searched for a binary, and why it had none. */
export interface Attempt {
  readonly place: string;
  readonly reason: string;
}

/** No usable copy of a binary was found or could be downloaded. */
export class BinaryNotFound extends Error {
  override readonly name = 'BinaryNotFound';

  constructor(
    readonly binary: string,
    readonly attempts: readonly Attempt[],
    remedy: string,
  ) {
    const tried = attempts.map(({ place, reason }) => `  - ${place}: ${reason}`).join('\n');
    super(`Nothing was started: ${binary} was not found. Tried, in this order:\n${tried}\n${remedy}`);
  }
}

/** An environment variable names a binary that cannot be run. It is never passed over in silence for another one. */
export class BinaryUnusable extends Error {
  override readonly name = 'BinaryUnusable';

  constructor(
    readonly variable: string,
    readonly path: string,
    reason: string,
  ) {
    super(
      `Nothing was started: ${variable} is set to ${path}, which cannot be used (${reason}). Correct it, or unset it to have one found.`,
    );
  }
}

/** A process ended, or did not become ready in time, while it was being started. It has been stopped again. */
export class ProcessNotReady extends Error {
  override readonly name = 'ProcessNotReady';

  constructor(
    readonly process: string,
    readonly reason: string,
    readonly output: string,
    remedy: string,
  ) {
    const said = output.trim() === '' ? '' : ` Its output:\n${output.trim()}\n`;
    super(
      `Nothing is left running: ${process} did not become ready (${reason}).${said} ${remedy}`.replace(/ {2,}/g, ' '),
    );
  }
}

/** A directory is in use by another living process of this kind. */
export class DirectoryInUse extends Error {
  override readonly name = 'DirectoryInUse';

  constructor(
    readonly directory: string,
    readonly ownerPid: number,
  ) {
    super(
      `Nothing was changed: ${directory} is in use by process ${ownerPid}, and two servers on one directory would destroy it. ` +
        `Stop process ${ownerPid}, or choose another directory.`,
    );
  }
}

/** PostgreSQL cannot be run here at all: no binaries for this platform, or no user to run as. */
export class PostgresUnavailable extends Error {
  override readonly name = 'PostgresUnavailable';

  constructor(reason: string, remedy: string) {
    super(`Nothing was started: PostgreSQL cannot run here because ${reason}. ${remedy}`);
  }
}

/** A method was called in a state that does not allow it. */
export class WrongServerState extends Error {
  override readonly name = 'WrongServerState';

  constructor(what: string, remedy: string) {
    super(`Nothing was changed: ${what}. ${remedy}`);
  }
}

/** An order for a crash point would never be carried out as it is written. */
export class WrongCrashOrder extends Error {
  override readonly name = 'WrongCrashOrder';

  /** @param field such as `TXN_CRASHPOINT[0].action.kind` */
  constructor(
    readonly field: string,
    given: unknown,
    wanted: string,
  ) {
    super(`Nothing was armed: ${field} is ${show(given)}, and has to be ${wanted}.`);
  }
}
