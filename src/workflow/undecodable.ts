/** What stands for a payload that cannot be read: a value that throws when it is looked at. */
class Undecodable extends Error {
  override readonly name = 'Undecodable';
}

/** By its name: it may be in the bundle a second time, with the converter. */
export const isUndecodable = (error: unknown): error is Error => error instanceof Error && error.name === 'Undecodable';

export function undecodable(cause: unknown): object {
  const why = cause instanceof Error ? cause.message : String(cause);
  const refuse = (): never => {
    throw new Undecodable(`The payload cannot be read: ${why}`);
  };
  return new Proxy({}, { get: refuse, has: refuse, ownKeys: refuse, getOwnPropertyDescriptor: refuse });
}
