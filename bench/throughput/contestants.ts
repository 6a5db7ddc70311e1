/**
 * Who takes part, and the processes that each of them consists of. All have the same statements on the same rows, in two local transactions for
 * each transfer, but for those who do many transfers in one, and as many connections to each bank.
 */

/** Processes by name: the main module of each, below bench/. */
export const PROCESSES = {
  direct: 'throughput/direct-worker.js',
  'temporal callers': 'throughput/temporal-worker.js',
  coordinator: 'throughput/workflow-worker.js',
  house: 'throughput/house-worker.js',
  'north-bank': 'throughput/bank-worker.js',
  'south-bank': 'throughput/bank-worker.js',
  'hand-written workflows': 'hand-written/workflow-worker.js',
  'hand-written north-bank': 'hand-written/bank-worker.js',
  'hand-written south-bank': 'hand-written/bank-worker.js',
  'node-sagas': 'peers/node-sagas.mjs',
  dbos: 'peers/dbos.mjs',
  'restate callers': 'peers/restate-callers.mjs',
  'restate service': 'peers/restate-service.mjs',
} as const;

export type ProcessName = keyof typeof PROCESSES;

/** Those of Temporal that run workflows. */
export const WORKFLOW_WORKERS: readonly ProcessName[] = ['coordinator', 'house', 'hand-written workflows'];

export interface Contestant {
  readonly title: string;
  /** The process that has its callers. */
  readonly callers: ProcessName;
  /** All its processes, its callers among them; PostgreSQL is in every one. */
  readonly processes: readonly ProcessName[];
  /** The server that remembers its transfers, where that is not PostgreSQL. */
  readonly server?: 'temporal' | 'restate';
  /** The package of npm, where it is not this one. */
  readonly peer?: string;
  /** Whom it can at best be as fast as, where that is not direct pg. */
  readonly limit?: 'direct-2pc';
  /** Whether a bank does what it is asked for together in one local transaction, by set-based statements. Direct pg is no limit of that. */
  readonly sets?: true;
  /** Whether its transfers can be held open in the middle. */
  readonly holds: boolean;
}

const COORDINATED = {
  callers: 'temporal callers',
  processes: ['temporal callers', 'coordinator', 'north-bank', 'south-bank'],
  server: 'temporal',
} as const satisfies Partial<Contestant>;

const CONTESTANTS = {
  direct: { title: 'direct pg', callers: 'direct', processes: ['direct'], holds: true },
  'direct-2pc': {
    title: 'direct pg, two-phase commit',
    callers: 'direct',
    processes: ['direct'],
    holds: false,
  },
  'node-sagas': {
    title: 'node-sagas',
    callers: 'node-sagas',
    processes: ['node-sagas'],
    peer: 'node-sagas',
    holds: true,
  },
  'hand-written': {
    title: 'hand-written workflow',
    callers: 'temporal callers',
    processes: ['temporal callers', 'hand-written workflows', 'hand-written north-bank', 'hand-written south-bank'],
    server: 'temporal',
    holds: true,
  },
  saga: { title: 'saga', ...COORDINATED, holds: true },
  '2pc': { title: 'two-phase commit', ...COORDINATED, limit: 'direct-2pc', holds: false },
  'saga-grouped': { title: 'saga, grouped', ...COORDINATED, holds: false },
  'saga-sets': { title: 'saga, grouped, executeMany', ...COORDINATED, sets: true, holds: false },
  'saga-house': {
    title: 'saga, grouped, executeMany, one process',
    callers: 'house',
    processes: ['house'],
    server: 'temporal',
    sets: true,
    holds: false,
  },
  'saga-house-grouped': {
    title: 'saga, grouped, one process',
    callers: 'house',
    processes: ['house'],
    server: 'temporal',
    holds: false,
  },
  '2pc-grouped': { title: 'two-phase commit, grouped', ...COORDINATED, limit: 'direct-2pc', holds: false },
  dbos: { title: 'DBOS', callers: 'dbos', processes: ['dbos'], peer: '@dbos-inc/dbos-sdk', holds: true },
  restate: {
    title: 'Restate',
    callers: 'restate callers',
    processes: ['restate callers', 'restate service'],
    server: 'restate',
    peer: '@restatedev/restate-sdk',
    holds: true,
  },
} as const satisfies Record<string, Contestant>;

export type Way = keyof typeof CONTESTANTS;
export const WAYS = Object.keys(CONTESTANTS) as readonly Way[]; // Cast: its own keys.

export const contestantOf = (way: Way): Contestant => CONTESTANTS[way];

export const limitOf = (way: Way): Way => contestantOf(way).limit ?? 'direct';
