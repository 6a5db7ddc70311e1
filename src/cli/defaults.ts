/** The patience of the command, unless it is told another one. All in milliseconds. */

/** Longer than the recovery of a participant needs: what is older has been left lying. */
export const DEFAULT_GRACE_MS = 60_000;
/** From when on a coordinator that seems to run is given up; as in recovery. */
export const DEFAULT_HARD_LIMIT_MS = 60 * 60_000;
/** Between two looks of an audit. */
export const DEFAULT_PAUSE_MS = 2_000;
