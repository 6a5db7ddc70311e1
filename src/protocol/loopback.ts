/**
 * Who may be spoken to in plain text: this machine itself, and what somebody has said is on a network of their own. On the way to
 * anybody else passwords could be read, and votes forged.
 */

/** What is spoken to. */
export type Spoken = 'temporal' | 'postgresql';

const OCTET = '(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)';
const LOOPBACK = new RegExp(`^(?:localhost|127(?:\\.${OCTET}){3}|::1|\\[::1\\])$`, 'i');

/** Whether a host is this machine itself: nobody else hears what is said to it. */
export const isLoopback = (host: string): boolean => LOOPBACK.test(host);

/** @param allowed what TXN_ALLOW_INSECURE says: `1` for both, or the name of one of them */
export const allowsPlainText = (to: Spoken, allowed: string | undefined): boolean => allowed === '1' || allowed === to;
