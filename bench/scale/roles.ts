/** The processes of the fleet. */
import { PROCESSES } from '../throughput/contestants';
import type { Bank } from '../transfer';

export type Role = 'client' | 'coordinator' | Bank;

/** Main modules below bench/. */
export const SCRIPTS: Readonly<Record<Role, string>> = {
  client: 'scale/client-worker.js',
  coordinator: PROCESSES.coordinator,
  'north-bank': PROCESSES['north-bank'],
  'south-bank': PROCESSES['south-bank'],
};

export const ROLES = Object.keys(SCRIPTS) as readonly Role[]; // Cast: its own keys.

/** Processes of each role. */
export const SEATS = 2;
