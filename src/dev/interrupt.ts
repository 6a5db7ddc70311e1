/**
 * Ctrl-C for programs that run the stack, which decide for themselves what stopping means: the first signal is theirs to act upon, a
 * second one ends the process where it stands, and the guard stops what is left. Nothing in the stack installs a handler by itself.
 */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const EXIT_CODE_OF_INTERRUPT = 130;

/** Resolves with the first signal that asks this process to stop. */
export function untilInterrupted(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (asked) process.exit(EXIT_CODE_OF_INTERRUPT);
      asked = true;
      resolve(signal);
    };
    for (const signal of SIGNALS) process.on(signal, onSignal);
  });
}
