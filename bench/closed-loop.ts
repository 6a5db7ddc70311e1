/** Callers that each begin the next transfer as soon as their last one has ended. */

export interface Numbers {
  readonly first: number;
  /** How many there are, at most. */
  readonly count: number;
  /** After this no caller begins another transfer; each has made one. @default they go on until there are no more numbers */
  readonly seconds?: number;
}

/**
 * @param run makes the transfer of this number, and takes its time
 * @returns how many transfers were made
 */
export async function inClosedLoop(
  callers: number,
  { first, count, seconds = Infinity }: Numbers,
  run: (n: number) => Promise<void>,
): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let next = first;
  const goesOn = (): boolean => next < first + count && (next < first + callers || performance.now() < end);
  const caller = async (): Promise<void> => {
    while (goesOn()) await run(next++);
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return next - first;
}
