/** Reading and changing a state, byte by byte. */
export const get = (state: Uint8Array, where: number): number => state[where] ?? 0;
export const has = (state: Uint8Array, where: number, bits: number): boolean => (get(state, where) & bits) !== 0;
export function put(state: Uint8Array, where: number, value: number): void {
  state[where] = value;
}
export function set(state: Uint8Array, where: number, bits: number): void {
  state[where] = get(state, where) | bits;
}
export function unset(state: Uint8Array, where: number, bits: number): void {
  state[where] = get(state, where) & ~bits;
}
