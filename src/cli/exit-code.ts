/** What the exit code of the command says. */
export const ExitCode = {
  /** Everything was looked at and nothing needs a person. */
  Well: 0,
  /** Wrong usage, or nothing could be looked at. Nothing was changed. */
  WrongUsage: 2,
  /** Nothing that was looked at needs a person, but not everything could be looked at. */
  Incomplete: 3,
  /** Something needs a person. It outranks 3. */
  NeedsPerson: 4,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
