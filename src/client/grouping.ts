/** How a client groups transactions. */
import { LARGEST_PAYLOAD_BYTES } from '../protocol';
import { InvalidGrouping } from './errors';
import type { QueueLimits } from './group-queue';

export interface GroupingOptions {
  /** How many transactions travel together at most: 2 to 1000. @default 500 */
  readonly maxSize?: number;
  /**
   * How many groups of one workflow type are under way at a time, or transactions that had nobody to travel with: 1 to 64. What comes
   * meanwhile waits, and travels together.
   * @default 2
   */
  readonly inFlight?: number;
  /**
   * For how many transactions of one workflow type there is room: those that wait, that travel, and that have a workflow of their own and
   * have not ended. More are refused with `QueueFull`. A tenant gets no more once it has as many as there are free, divided by the
   * tenants that have any, itself included: alone it has half. Who names no tenant is one tenant.
   * @default 20000
   */
  readonly queueLimit?: number;
}

export interface GroupingSettings extends QueueLimits {
  readonly queueLimit: number;
  readonly inFlight: number;
}

/** @throws {InvalidGrouping} */
export function groupingSettings({
  maxSize = 500,
  inFlight = 2,
  queueLimit = 20_000,
}: GroupingOptions): GroupingSettings {
  check('maxSize', maxSize, 2, 1_000);
  check('inFlight', inFlight, 1, 64);
  check('queueLimit', queueLimit, 1, 1_000_000);
  return { maxSize, inFlight, queueLimit, maxBytes: LARGEST_PAYLOAD_BYTES };
}

function check(option: string, value: number, least: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > most)
    throw new InvalidGrouping(option, value, `a whole number from ${least} to ${most}`);
}
